package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
)

const (
	accountPrefix = "kept.refused"
	// accountPeriod is how often changed accounts are stored. Reports that are only
	// counted are answered once that is on disk: having a report counted must not be
	// faster than having it kept.
	accountPeriod = time.Second
	// summaryPeriod is the period of one summary: one record, of some 5 KB at most.
	summaryPeriod = time.Hour
	maxDigests    = 32
	maxReasons    = 16
	maxReason     = 80 // characters
	otherReasons  = "other"
)

// account is an operator's use of its allowance for refused reports. It is stored beside
// the positions, so that it survives a restart.
type account struct {
	owner string
	// The fields below are guarded by the lock of refusals.
	used    usage
	changed bool     // since it was stored
	counted *counted // since it was stored; nil: none
	open    bool     // the stored account has a summary that is not a record yet
	until   time.Time
}

// usage is the used part of an allowance at a time; it decreases as time passes.
type usage struct {
	Reports float64   `json:"reports"`
	Bytes   float64   `json:"bytes"`
	At      time.Time `json:"at"`
}

// stored is an account as it is stored.
type stored struct {
	Used    usage                  `json:"used"`
	Summary *event.RejectedSummary `json:"summary,omitempty"` // not a record yet
}

// counted summarizes refused reports beyond the rate. ready is closed once the summary is
// stored, or failed to be (err).
type counted struct {
	event.RejectedSummary
	ready chan struct{}
	err   error
}

// refused is the part of a refused report that a summary uses.
type refused struct {
	digest string
	size   int
	faults []fault.Detail
}

// maxJitter is by how much the times of concurrently refused requests may differ.
const maxJitter = time.Minute

// at returns the usage at a later time.
func (u usage) at(now time.Time) usage {
	u.Bytes = min(u.Bytes, refusedQuota) // an earlier version allowed more
	switch back := u.At.Sub(now); {
	case back > maxJitter: // the clock was set back, which restores no allowance
		return usage{u.Reports, u.Bytes, now}
	case back > 0:
		return u
	}
	passed := now.Sub(u.At).Seconds()
	return usage{max(0, u.Reports-passed*refusedRate), max(0, u.Bytes-passed*refusedQuota/(24*60*60)), now}
}

// take charges one report to the allowance, or returns false if not enough is left.
func (u *usage) take(now time.Time, bytes int) bool {
	next := u.at(now)
	next.Reports++
	next.Bytes += float64(bytes)
	if next.Reports > refusedBurst || next.Bytes > refusedQuota {
		return false
	}
	*u = next
	return true
}

// account returns the account of an owner, from memory or from the store.
func (r *refusals) account(ctx context.Context, owner string) (*account, error) {
	r.mu.Lock()
	a := r.accounts[owner]
	r.mu.Unlock()
	if a != nil {
		return a, nil
	}
	s, _, err := r.read(ctx, owner)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if a := r.accounts[owner]; a != nil {
		return a, nil
	}
	a = &account{owner: owner, used: s.Used}
	a.noteSummary(s)
	r.accounts[owner] = a
	return a, nil
}

func (a *account) noteSummary(s stored) {
	if a.open = s.Summary != nil; a.open {
		a.until = s.Summary.From.Add(summaryPeriod)
	}
}

// hasRoom reports whether the allowance has room for one more report of this size.
func (r *refusals) hasRoom(a *account, now time.Time, bytes int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	used := a.used
	return used.take(now, bytes)
}

// overRate charges a refused report. It returns nil if the report may be kept whole, and
// otherwise the summary that counts it.
func (r *refusals) overRate(a *account, now time.Time, one refused, size int) *counted {
	r.mu.Lock()
	defer r.mu.Unlock()
	a.changed = true
	if a.used.take(now, size) {
		return nil
	}
	c := a.counted
	if c == nil {
		c = &counted{RejectedSummary: event.RejectedSummary{Operator: a.owner, From: now, Digests: []string{}, Reasons: map[string]int{}}, ready: make(chan struct{})}
		a.counted = c
	}
	c.Until = now
	c.Count++
	c.Bytes += int64(one.size)
	if len(c.Digests) < maxDigests {
		c.Digests = append(c.Digests, one.digest)
	}
	if len(one.faults) > 0 {
		addReason(c.Reasons, one.faults[0].Path, 1)
	}
	return c
}

// addReason counts a path; paths beyond maxReasons are counted together.
func addReason(reasons map[string]int, path string, n int) {
	path = printable.Truncate(path, maxReason)
	if _, known := reasons[path]; !known && len(reasons) >= maxReasons {
		path = otherReasons
	}
	reasons[path] += n
}

// add merges counted reports into the summary of the same hour.
func add(sum, c *event.RejectedSummary) {
	sum.Until = c.Until
	sum.Count += c.Count
	sum.Bytes += c.Bytes
	sum.Digests = append(sum.Digests, c.Digests[:min(len(c.Digests), max(0, maxDigests-len(sum.Digests)))]...)
	if sum.Reasons == nil {
		sum.Reasons = map[string]int{}
	}
	for path, n := range c.Reasons {
		addReason(sum.Reasons, path, n)
	}
}

// run stores changed accounts once a period until ctx ends, and then once more.
func (r *refusals) run(ctx context.Context) {
	r.readAll(ctx)
	tick := time.NewTicker(accountPeriod)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), accountPeriod)
			defer cancel()
			r.flush(last)
			return
		}
	}
}

// readAll loads the accounts, so that summaries from before a restart become records.
func (r *refusals) readAll(ctx context.Context) {
	keys, err := r.deps.Bus.ValueKeys(ctx, accountPrefix)
	for _, key := range keys {
		var raw []byte
		var s stored
		if raw, _, err = r.deps.Bus.Value(ctx, key); err == nil {
			if err = json.Unmarshal(raw, &s); err == nil && s.Summary != nil {
				_, err = r.account(ctx, s.Summary.Operator)
			}
		}
		if err != nil {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		r.deps.Log.Warn("cannot read the summaries of refused reports; they are read when their operator has one refused again", zap.Error(err))
	}
}

// flush stores changed accounts, and makes records of summaries whose hour is over.
func (r *refusals) flush(ctx context.Context) {
	now := r.deps.Clock.Now()
	r.mu.Lock()
	var due []*account
	for _, a := range r.accounts {
		if a.changed || a.open && !now.Before(a.until) {
			due = append(due, a)
		}
	}
	r.mu.Unlock()
	for _, a := range due {
		r.store(ctx, a, now)
	}
}

// store stores an account and releases the requests that wait for it.
func (r *refusals) store(ctx context.Context, a *account, now time.Time) {
	r.mu.Lock()
	used, c, fresh := a.used, a.counted, !a.open
	a.changed, a.counted = false, nil
	r.mu.Unlock()
	s, err := r.update(ctx, a.owner, used, c, now)
	r.mu.Lock()
	if err == nil {
		a.noteSummary(s)
	} else {
		a.changed = true
	}
	r.mu.Unlock()
	if err != nil && ctx.Err() == nil {
		r.deps.Log.Error("cannot store the account of refused reports", zap.String("operator", a.owner), zap.Error(err))
	}
	if c == nil {
		return
	}
	if fresh {
		r.deps.Log.Warn("refused reports beyond the rate are counted, and a summary is kept for each hour", zap.String("operator", a.owner))
	}
	c.err = err
	close(c.ready)
}

// update merges the changes into the stored account, which another process may have
// changed too.
func (r *refusals) update(ctx context.Context, owner string, used usage, c *counted, now time.Time) (stored, error) {
	for {
		s, revision, err := r.read(ctx, owner)
		if err != nil {
			return s, err
		}
		if s.Summary != nil && !now.Before(s.Summary.From.Add(summaryPeriod)) {
			if err := r.recordSummary(ctx, *s.Summary); err != nil {
				return s, err
			}
			s.Summary = nil
		}
		before := s.Used.at(now)
		used = used.at(now)
		s.Used = usage{max(before.Reports, used.Reports), max(before.Bytes, used.Bytes), used.At}
		switch {
		case c == nil:
		case s.Summary == nil:
			sum := c.RejectedSummary
			sum.Reasons = maps.Clone(sum.Reasons)
			s.Summary = &sum
		default:
			add(s.Summary, &c.RejectedSummary)
		}
		raw, err := json.Marshal(s)
		if err != nil {
			return s, err
		}
		if err = r.deps.Bus.SaveValue(ctx, accountKey(owner), raw, revision); !errors.Is(err, bus.ErrChanged) {
			return s, err
		}
	}
}

// recordSummary makes a record of a summary whose hour is over. Repeating it changes
// nothing.
func (r *refusals) recordSummary(ctx context.Context, sum event.RejectedSummary) error {
	record, err := event.NewRecord(event.RejectedSubject(sum.Operator, fmt.Sprintf("summary-%d", sum.From.UnixNano())), sum.Until, "", sum)
	if err == nil {
		_, err = r.deps.Bus.Commit(ctx, []event.Record{record})
	}
	return err
}

func (r *refusals) read(ctx context.Context, owner string) (s stored, revision uint64, err error) {
	raw, revision, err := r.deps.Bus.Value(ctx, accountKey(owner))
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &s)
	}
	return s, revision, err
}

func accountKey(owner string) string { return accountPrefix + "." + event.Token(owner) }
