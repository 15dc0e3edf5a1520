package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// What is kept of refused reports. A sender out of order must not fill the
// disk: beyond its rate a refused report is kept as a digest in a summary.
const (
	keptPayload   = 512 << 10 // bytes of one payload
	keptHeader    = 256 << 10 // bytes of its header, which JSON may make six times as long
	refusedRate   = 20        // refused reports kept whole, a second and operator
	refusedBurst  = 2000
	refusedQuota  = 64 << 20 // bytes of them kept whole, a day and operator
	summaryPeriod = time.Second
	maxDigests    = 4000 // in one summary; a record has its limits too
	// anybody is the bucket that all unregistered senders share.
	anybody = "unregistered"
)

// refusals keeps refused reports.
type refusals struct {
	deps Deps

	mu        sync.Mutex
	limits    map[string]allowance
	summaries map[string]*summary // open ones, by bucket
}

// allowance is what an operator may have kept whole: a rate and a quota.
type allowance struct{ reports, bytes *rate.Limiter }

func newAllowance() allowance {
	return allowance{
		reports: rate.NewLimiter(refusedRate, refusedBurst),
		bytes:   rate.NewLimiter(refusedQuota/(24*60*60), refusedQuota),
	}
}

func (a allowance) take(now time.Time, bytes int) bool {
	return a.reports.AllowN(now, 1) && a.bytes.AllowN(now, bytes)
}

// summary stands for refused reports beyond the rate. Those who wait for it are
// answered when it is on disk: refusing fast must not be cheaper than keeping.
type summary struct {
	body  event.RejectedSummary
	ready chan struct{}
	err   error
}

func newRefusals(d Deps) *refusals {
	return &refusals{deps: d, limits: map[string]allowance{}, summaries: map[string]*summary{}}
}

// keep returns when the refused report, or the summary that counts it, is on
// disk.
func (r *refusals) keep(ctx context.Context, s submission, faults []fault.Detail) error {
	bucket := anybody
	if _, ok := r.deps.Register.Operator(s.operator); ok {
		bucket = s.operator
	}
	now := r.deps.Clock.Now()
	header := headerLines(s.header)
	digest := digestOf(header, s.payload)
	kept, size := cutHeader(header)
	if sum := r.overRate(bucket, now, digest, min(len(s.payload), keptPayload)+size); sum != nil {
		select {
		case <-sum.ready:
			return sum.err
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
	record, err := event.NewRecord(event.RejectedSubject(bucket, digest), now, digest, body)
	if err != nil {
		return err
	}
	_, err = r.deps.Bus.Commit(ctx, []event.Record{record})
	return err
}

// overRate returns the summary that takes the report, or nil where the report
// may be kept whole.
func (r *refusals) overRate(bucket string, now time.Time, digest string, size int) *summary {
	r.mu.Lock()
	defer r.mu.Unlock()
	limit, ok := r.limits[bucket]
	if !ok {
		limit = newAllowance()
		r.limits[bucket] = limit
	}
	if limit.take(now, size) {
		return nil
	}
	sum, ok := r.summaries[bucket]
	if !ok {
		sum = &summary{body: event.RejectedSummary{Operator: bucket, From: now}, ready: make(chan struct{})}
		r.summaries[bucket] = sum
	}
	sum.body.Until = now
	sum.body.Count++
	if len(sum.body.Digests) < maxDigests {
		sum.body.Digests = append(sum.body.Digests, digest)
	}
	return sum
}

// run writes open summaries once a period until ctx ends, and then the rest.
func (r *refusals) run(ctx context.Context) {
	tick := time.NewTicker(summaryPeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), summaryPeriod)
			defer cancel()
			r.flush(last)
			return
		}
	}
}

func (r *refusals) flush(ctx context.Context) {
	r.mu.Lock()
	open := r.summaries
	r.summaries = map[string]*summary{}
	r.mu.Unlock()
	for bucket, sum := range open {
		r.deps.Log.Warn("refused reports beyond the rate are kept as a summary", zap.String("operator", bucket), zap.Int("count", sum.body.Count))
		subject := event.RejectedSubject(bucket, fmt.Sprintf("summary-%d", sum.body.From.UnixNano()))
		record, err := event.NewRecord(subject, sum.body.Until, "", sum.body)
		if err == nil {
			_, err = r.deps.Bus.Commit(ctx, []event.Record{record})
		}
		sum.err = err
		close(sum.ready)
	}
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
