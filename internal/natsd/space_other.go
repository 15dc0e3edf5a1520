//go:build !linux && !darwin && !freebsd

package natsd

import "errors"

// diskRoom is not known: nobody has looked how this system tells it.
func diskRoom(string) (Room, error) { return Room{}, errors.ErrUnsupported }
