package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// What is kept of refused reports. A sender out of order must not fill the
// disk: beyond its rate its refused reports are counted, and a summary of each hour
// is kept.
const (
	keptPayload  = 512 << 10 // bytes of one payload
	keptHeader   = 256 << 10 // bytes of its header, which JSON may make six times as long
	refusedRate  = 20        // refused reports kept whole, a second and operator
	refusedBurst = 2000
	refusedQuota = 64 << 20 // bytes of them kept whole, a day and operator
	// anybody is the account that all unregistered senders share.
	anybody = "unregistered"
)

// refusals keeps refused reports.
type refusals struct {
	deps Deps

	mu       sync.Mutex
	accounts map[string]*account
}

func newRefusals(d Deps) *refusals {
	return &refusals{deps: d, accounts: map[string]*account{}}
}

// ownerOf returns whose account a refused report is on: that of the identity that sent
// it, otherwise that of the registered operator that it names.
func (r *refusals) ownerOf(ctx context.Context, s submission) string {
	if who := identity.Of(ctx); who.Role == identity.Operator {
		return who.ID
	}
	if _, ok := r.deps.Register.Operator(s.operator); ok {
		return s.operator
	}
	return anybody
}

// keep returns when the refused report, or the summary that counts it, is on
// disk.
func (r *refusals) keep(ctx context.Context, s submission, faults []fault.Detail) error {
	owner := r.ownerOf(ctx, s)
	a, err := r.account(ctx, owner)
	if err != nil {
		return err
	}
	now := r.deps.Clock.Now()
	header := headerLines(s.header)
	digest := digestOf(header, s.payload)
	kept, size := cutHeader(header)
	if c := r.overRate(a, now, refused{digest, len(s.payload), faults}, min(len(s.payload), keptPayload)+size); c != nil {
		select {
		case <-c.ready:
			return c.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	body := event.Rejected{
		Operator: s.operator, ReceivedAt: now, Door: s.door, Errors: faults,
		Size: len(s.payload), Header: kept, Payload: s.payload, Truncated: len(kept) < len(header),
	}
	if len(s.payload) > keptPayload {
		body.Payload, body.Truncated = s.payload[:keptPayload], true
	}
	record, err := event.NewRecord(event.RejectedSubject(owner, digest), now, digest, body)
	if err != nil {
		return err
	}
	_, err = r.deps.Bus.Commit(ctx, []event.Record{record})
	return err
}

// headerLines renders headers in one order, so that the same message has the
// same digest.
func headerLines(h map[string][]string) []string {
	lines := []string{}
	for name, values := range h {
		for _, v := range values {
			lines = append(lines, strings.ToLower(name)+": "+v)
		}
	}
	slices.Sort(lines)
	return lines
}

// cutHeader returns the first lines of a header, as many as a record can hold, and
// how long they are with what JSON puts between them.
func cutHeader(lines []string) (kept []string, size int) {
	for i, line := range lines {
		next := size + len(line) + len(`"",`)
		if next > keptHeader {
			return lines[:i], size
		}
		size = next
	}
	return lines, size
}

func digestOf(header []string, payload []byte) string {
	h := sha256.New()
	for _, line := range header {
		fmt.Fprintf(h, "%s\n", line)
	}
	h.Write([]byte{'\n'})
	h.Write(payload)
	return hex.EncodeToString(h.Sum(nil))
}
