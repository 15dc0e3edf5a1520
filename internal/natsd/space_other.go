//go:build !linux && !darwin && !freebsd

package natsd

import "errors"

// diskRoom returns errors.ErrUnsupported: this system has no common call for free space,
// so the server runs without a disk reserve.
func diskRoom(string) (Room, error) { return Room{}, errors.ErrUnsupported }
