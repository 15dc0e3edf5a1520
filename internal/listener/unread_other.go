//go:build !unix

package listener

import "net"

// hasUnread reports whether data has come that nobody has read yet, where the system
// says so.
func hasUnread(net.Conn) bool { return false }
