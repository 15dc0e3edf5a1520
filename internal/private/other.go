//go:build !unix

package private

import "os"

const noFollow = 0

// Check says nothing where folders have no owners and modes: who may write to them is
// for who installs the program.
func Check(string) error { return nil }

// CheckShared is Check.
func CheckShared(string) error { return nil }

// SameOwner is Check.
func SameOwner(...string) error { return nil }

func inherit(*os.File, string) error { return nil }
