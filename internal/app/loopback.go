package app

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

// Loopback reports whether only this machine reaches a host.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// BeyondLoopback reports whether one of the addresses of a NATS, with commas between
// them, is on another machine.
func BeyondLoopback(servers string) bool {
	return slices.ContainsFunc(strings.Split(servers, ","), func(server string) bool {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server // as the client library reads it
		}
		u, err := url.Parse(server)
		return err != nil || !Loopback(u.Hostname())
	})
}
