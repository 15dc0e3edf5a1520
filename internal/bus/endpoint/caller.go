package endpoint

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/tocsin-project/tocsin/internal/identity"
)

// HasIdentities reports whether callers are identified.
func (s *Server) HasIdentities() bool { return s.cfg.Identities != nil }

// Refused records that the caller was refused an action, and the reason, unless it is one
// of our services. It is for refusals that a handler decides; the server records
// [Forbidden] itself.
func (s *Server) Refused(ctx context.Context, action, reason string) {
	if caller := identity.Of(ctx); s.cfg.Identities != nil && caller.Role != identity.Service {
		s.cfg.Identities.Refused(caller.String(), action, reason)
	}
}

// authenticate identifies the caller and checks its permissions.
func (s *Server) authenticate(ctx context.Context, msg micro.Request) (context.Context, Request, error) {
	r := Request{Subject: s.bus.Realm().Plain(msg.Subject()), Header: nats.Header(msg.Headers()), Data: msg.Data(), Reply: msg.Reply()}
	if s.cfg.Identities == nil {
		return identity.With(ctx, identity.Anyone), r, nil
	}
	role, token, subject, ok := identity.ParseSubject(r.Subject)
	if !ok {
		return ctx, r, Forbidden("there is no such endpoint")
	}
	r.Subject = subject
	caller, known := identity.Internal, role == identity.Service // only our own account can use this role
	if !known {
		caller, known = s.cfg.Identities.Find(role, token)
	}
	if !known {
		return identity.With(ctx, identity.Identity{Role: role, ID: token}), r, Forbidden(fmt.Sprintf("%s/%s has no credential any more", role, token))
	}
	ctx = identity.With(ctx, caller)
	if !caller.May(identity.Request, subject) {
		return ctx, r, Forbidden(fmt.Sprintf("%s may not use %s", caller, subject))
	}
	return ctx, r, nil
}

// exceedsRate reports whether a caller asks more questions a second than it may.
func (h *handler) exceedsRate(ctx context.Context) bool {
	caller := identity.Of(ctx)
	return h.cfg.Identities != nil && !h.AnySize && caller.Role != identity.Service && !h.cfg.Identities.Allow(caller.String())
}

// unnamed is the party that all requests from unidentified senders share.
const unnamed = "unnamed"

// party returns the party charged for a request.
func (h *handler) party(ctx context.Context, r Request) string {
	if caller := identity.Of(ctx); caller.Role != identity.Trial {
		return caller.String()
	}
	if h.Party != nil {
		if party := h.Party(r); party != "" {
			return party
		}
	}
	return unnamed
}

// connectionOf returns the common prefix of the reply subjects of one connection in the
// usual client libraries: _INBOX and an id.
func connectionOf(reply string) string {
	if head, rest, ok := strings.Cut(reply, "."); ok {
		id, _, _ := strings.Cut(rest, ".")
		return head + "." + id
	}
	return reply
}
