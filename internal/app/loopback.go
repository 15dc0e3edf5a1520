package app

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// Loopback reports whether a host is reachable from this machine only.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// BeyondLoopback reports whether one of the comma-separated addresses of a NATS is on
// another machine.
func BeyondLoopback(servers string) bool {
	return slices.ContainsFunc(strings.Split(servers, ","), func(server string) bool {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server // as the client library does
		}
		u, err := url.Parse(server)
		return err != nil || !Loopback(u.Hostname())
	})
}
