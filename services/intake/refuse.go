package intake

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// Bounds of what is kept of refused reports. A faulty sender must not fill the disk:
// beyond its rate its refused reports are only counted, with one summary an hour.
const (
	keptPayload  = 512 << 10 // bytes of one payload
	keptHeader   = 256 << 10 // bytes of its header, which JSON may make six times as long
	refusedRate  = 20        // refused reports kept whole, a second and operator
	refusedBurst = 2000
	// refusedQuota is how many bytes of records one operator's refused reports may take a
	// day: some 4,000 ordinary reports, or 20 of the largest, where a correct sender has
	// a handful. They are kept for half a year.
	refusedQuota   = 8 << 20
	recordOverhead = 512 // bytes of a record beside its body
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

// ownerOf returns whose account a refused report is charged to: that of the identity that
// sent it, otherwise that of the registered operator that it names.
func (r *refusals) ownerOf(ctx context.Context, s submission) string {
	if caller := identity.Of(ctx); caller.Role == identity.Operator {
		return caller.ID
	}
	if _, ok := r.deps.Register.Operator(s.operator); ok {
		return s.operator
	}
	return anybody
}

// keep returns when the refused report, or the summary that counts it, is on disk.
func (r *refusals) keep(ctx context.Context, s submission, faults []fault.Detail) error {
	owner := r.ownerOf(ctx, s)
	a, err := r.account(ctx, owner)
	if err != nil {
		return err
	}
	now := r.deps.Clock.Now()
	header := headerLines(s.header)
	digest := digestOf(header, s.payload)
	record, size, err := r.record(a, now, owner, digest, header, s, faults)
	if err != nil {
		return err
	}
	if c := r.overRate(a, now, refused{digest, len(s.payload), faults}, size); c != nil {
		select {
		case <-c.ready:
			return c.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	_, err = r.deps.Bus.Commit(ctx, []event.Record{record})
	return err
}

// record makes the record of a refused report and returns its share of the allowance. If
// the allowance is used up it makes none, and the report is only counted.
func (r *refusals) record(a *account, now time.Time, owner, digest string, header []string, s submission, faults []fault.Detail) (event.Record, int, error) {
	kept, size := cutHeader(header)
	size += base64.StdEncoding.EncodedLen(min(len(s.payload), keptPayload)) + recordOverhead
	if !r.hasRoom(a, now, size) {
		return event.Record{}, refusedQuota + 1, nil
	}
	body := event.Rejected{
		Operator: s.operator, ReceivedAt: now, Transport: s.transport, Errors: faults,
		Size: len(s.payload), Header: kept, Payload: s.payload, Truncated: len(kept) < len(header),
	}
	if len(s.payload) > keptPayload {
		body.Payload, body.Truncated = s.payload[:keptPayload], true
	}
	record, err := event.NewRecord(event.RejectedSubject(owner, digest), now, digest, body)
	return record, len(record.Data) + recordOverhead, err
}

// headerLines renders headers in a fixed order, so that the same message has the same
// digest.
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

// cutHeader returns the first lines of a header, as many as a record can hold, and their
// length including what JSON puts between them.
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
