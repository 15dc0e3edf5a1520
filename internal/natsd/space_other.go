//go:build !linux && !darwin && !freebsd

package natsd

import "errors"

// diskRoom is not implemented for this system.
func diskRoom(string) (Room, error) { return Room{}, errors.ErrUnsupported }
