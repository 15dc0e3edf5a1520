package credential

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// refusals counts and logs refused requests: the first of a kind at once, the others
// within a minute as a number, so that a refused caller cannot fill the log.
type refusals struct {
	log   *zap.Logger
	total atomic.Uint64

	mu          sync.Mutex
	kinds       map[refusal]int // counts since the last report
	kindsLogged map[bool]int    // number of kinds, of members (true) and strangers
	since       time.Time       // start of this minute
	count       int             // in this minute
	last        int             // in the previous minute
}

type refusal struct{ caller, request, reason string }

func (k refusal) fields() []zap.Field {
	return []zap.Field{zap.String("caller", k.caller), zap.String("request", k.request), zap.String("reason", k.reason)}
}

// hasIdentity reports whether the refused client is known: its name is ROLE/ID.
func (k refusal) hasIdentity() bool { return strings.Contains(k.caller, "/") }

// logOf returns the logger for a refusal. The log limits the lines of each logger, so
// that lines about strangers do not displace those about members.
func (r *refusals) logOf(k refusal) *zap.Logger {
	if k.hasIdentity() {
		return r.log
	}
	return r.log.Named("strangers")
}

const (
	refusalPeriod   = time.Minute
	maxRefusalKinds = 100 // distinguished in a minute, of members and of strangers
	// refusalAlarm is the number of refusals a minute that suggests an attack: a
	// misconfigured client retries once a second.
	refusalAlarm = 120
)

func newRefusals(log *zap.Logger) *refusals {
	return &refusals{log: log, kinds: map[refusal]int{}, kindsLogged: map[bool]int{}}
}

func (r *refusals) add(k refusal) {
	r.total.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.startMinute()
	if r.count++; r.count == refusalAlarm {
		r.log.Error("alarm: many requests are refused", append(k.fields(), zap.Int("count_1m", r.count))...)
	}
	n, known := r.kinds[k]
	hasIdentity := k.hasIdentity() // strangers must not hide refusals of members
	if !known && r.kindsLogged[hasIdentity] >= maxRefusalKinds {
		k = refusal{caller: map[bool]string{true: "others", false: "other strangers"}[hasIdentity]}
		n, known = r.kinds[k]
	}
	r.kinds[k] = n + 1
	if !known {
		r.kindsLogged[hasIdentity]++
		r.logOf(k).Warn("a request was refused", k.fields()...)
	}
}

// startMinute starts the next minute if this one is over, and logs its counts.
func (r *refusals) startMinute() {
	now := clock.Steady()
	passed := now.Sub(r.since)
	if passed < refusalPeriod && !r.since.IsZero() {
		return
	}
	r.logCounts()
	r.last = r.count
	if passed >= 2*refusalPeriod {
		r.last = 0
	}
	r.kindsLogged, r.count, r.since = map[bool]int{}, 0, now
}

// logCounts logs the counts beyond the refusals that were logged at once.
func (r *refusals) logCounts() {
	for k, n := range r.kinds {
		if n > 1 {
			r.logOf(k).Warn("requests were refused", append(k.fields(), zap.Int("count_1m", n))...)
		}
	}
	clear(r.kinds)
}

func (r *refusals) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.logCounts()
}

// alarm reports whether this minute or the last one reached refusalAlarm.
func (r *refusals) alarm() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.startMinute()
	return max(r.count, r.last) >= refusalAlarm
}
