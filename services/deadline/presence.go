package deadline

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// presenceEvery is how often the screens are checked, which takes 50 ms for a thousand.
// Tests check more often.
var presenceEvery = 2 * time.Second

const (
	// storeEvery is how many checks pass before the times seen are stored.
	storeEvery = 5
	// maxPause is how long checks may pause before their results count as outdated. After
	// that, and after a restart, screens have reconnectTime to connect again before a desk
	// counts as away.
	maxPause      = 10 * time.Second
	reconnectTime = 5 * time.Second
	// A screen that was connected is checked maxChecks times, recheckPause apart, before it
	// counts as gone: between two of its requests it looks disconnected.
	maxChecks    = 3
	recheckPause = 120 * time.Millisecond
)

// presence knows when a screen of each desk was last connected, by the pipeline's clock.
// It stores these times, so that a desk that stays away during a restart does not look
// present.
type presence struct {
	deps    Deps
	byToken map[string]string // desk ids by their subject tokens

	checking sync.Mutex // one at a time

	mu        sync.Mutex
	seen      map[string]time.Time // by desk; for a desk without a screen, since when it could have had one
	stored    map[string]time.Time // the last stored state of seen
	states    map[screenKey]screenState
	screens   []api.Screen
	checked   time.Time // last check, by the pipeline's clock
	checkedAt time.Time // last check, by the machine's clock
	notBefore time.Time // no alarm before this, by the pipeline's clock
}

// screenKey identifies a screen, in tokens; screenState is what is known of it.
type screenKey struct{ desk, client string }
type screenState struct {
	at     *time.Time // when it was last connected; nil: never
	engine time.Time  // the engine's stamp of that time
	here   bool
}

// keySeen is the key under which the times are stored at which desks were last seen. They
// may lag, as positions do.
const keySeen = "desks-seen"

// readSeen returns the stored times and their revision.
func readSeen(ctx context.Context, b screens) (seen map[string]time.Time, revision uint64, err error) {
	raw, revision, err := b.Value(ctx, keySeen)
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &seen)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("deadline: times at which the desks were seen: %w", err)
	}
	return seen, revision, nil
}

// newPresence reads when the desks were last seen. A desk without a stored time counts as
// seen now.
func newPresence(ctx context.Context, d Deps) (*presence, error) {
	kept, _, err := readSeen(ctx, d.Bus)
	if err != nil {
		return nil, err
	}
	p := &presence{deps: d, byToken: map[string]string{}, seen: map[string]time.Time{}}
	now := d.Clock.Now()
	if len(kept) > 0 {
		p.notBefore = now.Add(reconnectTime)
	}
	for _, desk := range d.Register.Desks {
		p.byToken[event.Token(desk.ID)], p.seen[desk.ID] = desk.ID, now
		if at, ok := kept[desk.ID]; ok && at.Before(now) {
			p.seen[desk.ID] = at
		}
	}
	if err := p.check(ctx); err != nil {
		return nil, err
	}
	return p, p.store(ctx)
}

func (p *presence) run(ctx context.Context) error {
	tick := time.NewTicker(presenceEvery)
	defer tick.Stop()
	for checks := 1; ; checks++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := p.check(ctx)
		if err == nil && checks%storeEvery == 0 {
			err = p.store(ctx)
		}
		if err != nil && ctx.Err() == nil {
			p.deps.Log.Warn("cannot check the screens of the desks", zap.Error(err))
		}
	}
}

// check finds out which screens are connected.
func (p *presence) check(ctx context.Context) error {
	p.checking.Lock()
	defer p.checking.Unlock()
	now, machine := p.deps.Clock.Now(), clock.Steady()
	found, err := p.deps.Bus.Screens(ctx)
	if err == nil {
		p.note(found, now, machine)
	}
	return err
}

// store stores the times seen, if they have changed.
func (p *presence) store(ctx context.Context) error {
	p.mu.Lock()
	seen, same := maps.Clone(p.seen), maps.Equal(p.seen, p.stored)
	p.mu.Unlock()
	if same {
		return nil
	}
	raw, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("deadline: times at which the desks were seen: %w", err)
	}
	_, revision, err := readSeen(ctx, p.deps.Bus)
	if err != nil {
		return err
	}
	if err := p.deps.Bus.SaveValue(ctx, keySeen, raw, revision); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stored = seen
	return nil
}

// acted notes that a desk did something; desk is its subject token.
func (p *presence) acted(desk string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id, ok := p.byToken[desk]; ok && at.After(p.seen[id]) {
		p.seen[id] = at
	}
}

// note records the result of a check that began at now.
func (p *presence) note(found []bus.Screen, now, machine time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.checked) { // the clock was set back
		for id, at := range p.seen {
			p.seen[id] = earlier(at, now)
		}
		for key, v := range p.states {
			if v.at != nil && v.at.After(now) {
				v.at = &now
				p.states[key] = v
			}
		}
	}
	pace := time.Duration(clock.Speed(p.deps.Clock))
	if !p.checkedAt.IsZero() && machine.Sub(p.checkedAt) > maxPause {
		p.notBefore = now.Add(reconnectTime * pace)
	}
	states, rows := map[screenKey]screenState{}, map[string][]api.Screen{}
	for _, s := range found {
		id, known := p.byToken[s.Desk]
		key := screenKey{s.Desk, s.Client}
		if _, twice := states[key]; twice || !known {
			continue
		}
		v := p.states[key]
		v.here = s.Waiting
		switch {
		case s.Waiting:
			v.at = &now
		case s.SeenAt.After(v.engine):
			at := now.Add(-max(0, machine.Sub(s.SeenAt)) * pace)
			if at.Before(p.checked) {
				at = p.checked // at the check before, the screen had not been seen
			}
			if v.at == nil || at.After(*v.at) {
				v.at = &at
			}
		}
		if s.SeenAt.After(v.engine) {
			v.engine = s.SeenAt
		}
		if v.at != nil && v.at.After(p.seen[id]) {
			p.seen[id] = *v.at
		}
		states[key], rows[id] = v, append(rows[id], api.Screen{Desk: id, Client: s.Client, SeenAt: v.at, Connected: v.here})
	}
	p.states, p.checked, p.checkedAt = states, now, machine
	p.screens = nil
	for _, desk := range p.deps.Register.Desks {
		screens := rows[desk.ID]
		if len(screens) == 0 {
			screens = []api.Screen{{Desk: desk.ID}}
		}
		for _, s := range screens {
			s.Next = desk.Next
			p.screens = append(p.screens, s)
		}
	}
}

// lastSeen returns when a screen of the desk was last connected; a desk that is not in
// the register is unknown.
func (p *presence) lastSeen(desk string) (at time.Time, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, known = p.seen[desk]
	return at, known
}

// isConnected reports whether a screen of the desk was connected at the last check, and
// whether that check was at or after since.
func (p *presence) isConnected(desk string, since time.Time) (connected, fresh bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	connected = slices.ContainsFunc(p.screens, func(s api.Screen) bool { return s.Desk == desk && s.Connected })
	return connected, !p.checked.Before(since)
}

// timer returns the timer of an unacknowledged escalation. It comes due when the desk, as
// far as known now, has been away for longer than half of its time, and at the target at
// the latest.
func (p *presence) timer(o event.Overdue, now time.Time) (event.Record, error) {
	return p.timerAt(o, now, p.awayAt(o))
}

// noCheckWithin is how long before the target screens are no longer checked: the overdue
// record says more, and the engine must not be kept busy when many targets pass at once.
const noCheckWithin = 5 * time.Second

// timerAt returns the timer of an escalation that checks again at due, or at the target
// if that comes first or soon after.
func (p *presence) timerAt(o event.Overdue, now, due time.Time) (event.Record, error) {
	if due.Before(now) {
		due = now
	}
	if due.After(o.AcknowledgeBy.Add(-min(noCheckWithin, half(o)/2))) {
		due = o.AcknowledgeBy
	}
	r, err := event.NewRecord(event.TimerSubject(escalationTimer(o.Escalation)), now, "", o)
	r.Due = due
	return r, err
}

// awayAt returns when the desk counts as away, unless it connects again before.
func (p *presence) awayAt(o event.Overdue) time.Time {
	if at, known := p.lastSeen(o.Desk); known {
		return at.Add(half(o))
	}
	return o.AcknowledgeBy
}

// half returns half of the time that the desk has to acknowledge.
func half(o event.Overdue) time.Duration { return o.AcknowledgeBy.Sub(o.ReportedAt) / 2 }

// alarm raises the alarm when the desk is away, once for each absence, and sets the timer
// of the next check. If the check fails it is repeated soon: the timer of the target must
// not be lost because of it.
func (p *presence) alarm(ctx context.Context, o event.Overdue, now time.Time) ([]event.Record, error) {
	if p.awayAt(o).After(now) {
		return one(p.timer(o, now))
	}
	soon := half(o) / 10
	if err := p.checkDesk(ctx, o.Desk, now.Add(-soon)); err != nil {
		p.deps.Log.Warn("cannot check whether a desk is away", zap.String("desk", o.Desk), zap.Error(err))
		return one(p.timerAt(o, now, now.Add(soon)))
	}
	p.mu.Lock()
	notBefore := p.notBefore
	p.mu.Unlock()
	if at := p.awayAt(o); at.After(now) || notBefore.After(now) {
		return one(p.timerAt(o, now, later(at, notBefore)))
	}
	since, _ := p.lastSeen(o.Desk)
	away, err := event.NewRecord(event.AwaySubject(o.Desk, since), now, "", event.Away{
		Desk: o.Desk, Since: since, Escalation: o.Escalation, Operator: o.Operator, Incident: o.Incident,
		AcknowledgeBy: o.AcknowledgeBy, At: now, Next: p.deps.nextDesk(o.Desk),
	})
	if err != nil {
		return nil, err
	}
	// If the desk connects and disconnects again, it cannot count as away before then.
	next, err := p.timerAt(o, now, now.Add(half(o)))
	return []event.Record{away, next}, err
}

// checkDesk checks the screens, unless they were checked since a time, and stores the
// result: the record of an absence is named after its beginning, which a restart must not
// forget.
func (p *presence) checkDesk(ctx context.Context, desk string, since time.Time) error {
	was, fresh := p.isConnected(desk, since)
	for n := 1; !fresh; n++ {
		if err := p.check(ctx); err != nil {
			return err
		}
		is, _ := p.isConnected(desk, since)
		if is || !was || n == maxChecks {
			break
		}
		select {
		case <-time.After(recheckPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return p.store(ctx)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (p *presence) answer(ctx context.Context, _ endpoint.Request) (any, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	screens := append([]api.Screen{}, p.screens...)
	if own := identity.Of(ctx).Scope().Desk; own != "" {
		screens = slices.DeleteFunc(screens, func(s api.Screen) bool { return s.Desk != own })
	}
	return api.DesksAnswer{Screens: screens, Now: p.deps.Clock.Now()}, nil
}
