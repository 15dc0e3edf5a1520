//go:build !unix

package listener

import "net"

// hasUnread reports whether data has arrived that was not read yet; unknown on this
// system.
func hasUnread(net.Conn) bool { return false }
