package credential

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// refusals counts what is refused and logs it: the first of a kind at once, those
// that follow within a minute as a number, so that who is refused cannot fill the
// log.
type refusals struct {
	log   *zap.Logger
	total atomic.Uint64

	mu    sync.Mutex
	kinds map[refusal]int // since they were told
	told  map[bool]int    // kinds of those who are known, and of strangers
	since time.Time       // when this minute began
	count int             // in this minute
	last  int             // in the one before
}

type refusal struct{ who, what, why string }

// member reports whether the refused client is known: it is named ROLE/ID.
func (k refusal) member() bool { return strings.Contains(k.who, "/") }

// logOf returns the logger for a refusal. The log limits the lines of each logger, so
// that those about strangers do not push out those about members.
func (r *refusals) logOf(k refusal) *zap.Logger {
	if k.member() {
		return r.log
	}
	return r.log.Named("strangers")
}

const (
	refusalsTold = time.Minute
	refusalKinds = 100 // told apart in a minute, of those who are known and of strangers
	// refusalAlarm is from how many a minute on somebody is trying something: a
	// client that is set up wrongly tries again once a second.
	refusalAlarm = 120
)

func newRefusals(log *zap.Logger) *refusals {
	return &refusals{log: log, kinds: map[refusal]int{}, told: map[bool]int{}}
}

func (r *refusals) add(who, what, why string) {
	r.total.Add(1)
	k := refusal{who, what, why}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn()
	if r.count++; r.count == refusalAlarm {
		r.log.Error("alarm: many requests are refused", zap.Int("inThisMinute", r.count), zap.String("who", who), zap.String("what", what), zap.String("why", why))
	}
	n, known := r.kinds[k]
	member := k.member() // strangers must not hide what these do
	if !known && r.told[member] >= refusalKinds {
		k = refusal{who: map[bool]string{true: "others", false: "other strangers"}[member]}
		n, known = r.kinds[k]
	}
	r.kinds[k] = n + 1
	if !known {
		r.told[member]++
		r.logOf(k).Warn("a request was refused", zap.String("who", k.who), zap.String("what", k.what), zap.String("why", k.why))
	}
}

// turn begins the next minute where this one is over, and tells what it counted.
func (r *refusals) turn() {
	now := clock.Steady()
	passed := now.Sub(r.since)
	if passed < refusalsTold && !r.since.IsZero() {
		return
	}
	r.tell()
	r.last = r.count
	if passed >= 2*refusalsTold {
		r.last = 0
	}
	r.told, r.count, r.since = map[bool]int{}, 0, now
}

// tell logs what was counted beside what was logged at once.
func (r *refusals) tell() {
	for k, n := range r.kinds {
		if n > 1 {
			r.logOf(k).Warn("requests were refused", zap.Int("count_1m", n), zap.String("who", k.who), zap.String("what", k.what), zap.String("why", k.why))
		}
	}
	clear(r.kinds)
}

// end tells what was counted in the minute that is not over yet.
func (r *refusals) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tell()
}

// alarm reports whether so many were refused in this minute or the last one.
func (r *refusals) alarm() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn()
	return max(r.count, r.last) >= refusalAlarm
}
