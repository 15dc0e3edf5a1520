package deadline

import (
	"context"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/event"
)

// presenceEvery is how often the screens are looked at, and keepEvery how many
// looks pass before what was seen is kept.
const (
	presenceEvery = 2 * time.Second
	keepEvery     = 5
)

// presence knows when a screen of each desk was last there. What it knows is
// kept, so that a desk that sleeps through a restart does not look awake.
type presence struct {
	deps Deps

	mu      sync.Mutex
	seen    map[string]time.Time // by desk; of a desk without a screen, since when it could have had one
	screens []event.Screen
}

// newPresence recalls when the desks were seen. A desk that never was counts
// from now.
func newPresence(ctx context.Context, d Deps) (*presence, error) {
	seen, err := d.Bus.Seen(ctx)
	if err != nil {
		return nil, err
	}
	p := &presence{deps: d, seen: map[string]time.Time{}}
	now := d.Clock.Now()
	for _, desk := range d.Register.Desks {
		p.seen[desk.ID] = now
		if at, ok := seen[desk.ID]; ok && at.Before(now) {
			p.seen[desk.ID] = at
		}
	}
	if err := p.look(ctx); err != nil {
		return nil, err
	}
	return p, p.keep(ctx)
}

func (p *presence) run(ctx context.Context) error {
	tick := time.NewTicker(presenceEvery)
	defer tick.Stop()
	for looks := 1; ; looks++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := p.look(ctx)
		if err == nil && looks%keepEvery == 0 {
			err = p.keep(ctx)
		}
		if err != nil && ctx.Err() == nil {
			p.deps.Log.Warn("the screens of the desks could not be looked at", zap.Error(err))
		}
	}
}

// look finds out which screens are there.
func (p *presence) look(ctx context.Context) error {
	found, err := p.deps.Bus.Screens(ctx)
	if err == nil {
		p.note(found)
	}
	return err
}

func (p *presence) keep(ctx context.Context) error {
	p.mu.Lock()
	seen := maps.Clone(p.seen)
	p.mu.Unlock()
	return p.deps.Bus.KeepSeen(ctx, seen)
}

// met notes that a desk did something, by its subject token.
func (p *presence) met(desk string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, seen := range p.seen {
		if event.Token(id) == desk && at.After(seen) {
			p.seen[id] = at
		}
	}
}

func (p *presence) note(found []bus.Screen) {
	now := p.deps.Clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.screens
	p.screens = nil
	for _, desk := range p.deps.Register.Desks {
		had := false
		for _, s := range found {
			if s.Desk != event.Token(desk.ID) {
				continue
			}
			had = true
			row := event.Screen{Desk: desk.ID, Client: s.Client, Here: s.Waiting, Next: desk.Next, SeenAt: seenAt(s, before, now)}
			if row.SeenAt != nil && row.SeenAt.After(p.seen[desk.ID]) {
				p.seen[desk.ID] = *row.SeenAt
			}
			p.screens = append(p.screens, row)
		}
		if !had {
			p.screens = append(p.screens, event.Screen{Desk: desk.ID, Next: desk.Next})
		}
	}
}

// seenAt is when a screen was last there: now, by the engine's word, or as we
// saw it before; nil if never.
func seenAt(s bus.Screen, before []event.Screen, now time.Time) *time.Time {
	if s.Waiting {
		return &now
	}
	var at *time.Time
	for _, b := range before {
		if event.Token(b.Desk) == s.Desk && b.Client == s.Client {
			at = b.SeenAt
		}
	}
	if !s.SeenAt.IsZero() && !s.SeenAt.After(now) && (at == nil || s.SeenAt.After(*at)) {
		at = &s.SeenAt
	}
	return at
}

// lastSeen is when a screen of the desk was last there.
func (p *presence) lastSeen(desk string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[desk]
}

// timer is the timer of an escalation that nobody has acknowledged: it comes
// due when the desk has been away for longer than half of the time that it
// has, as far as it is known now, and at the target at the latest.
func (p *presence) timer(o event.Overdue, now time.Time) (event.Record, error) {
	due := p.awayAt(o)
	if !due.After(now) {
		due = now
	}
	if due.After(o.AcknowledgeBy) {
		due = o.AcknowledgeBy
	}
	r, err := event.NewRecord(event.TimerSubject(escalationTimer(o.Escalation)), now, "", o)
	r.Due = due
	return r, err
}

func (p *presence) awayAt(o event.Overdue) time.Time {
	return p.lastSeen(o.Desk).Add(o.AcknowledgeBy.Sub(o.ReportedAt) / 2)
}

// alarm raises the alarm when the desk is away, once for each absence, and sets
// the timer for the next look.
func (p *presence) alarm(o event.Overdue, now time.Time) ([]event.Record, error) {
	if p.awayAt(o).After(now) {
		return one(p.timer(o, now))
	}
	since := p.lastSeen(o.Desk)
	away, err := event.NewRecord(event.AwaySubject(o.Desk, since), now, "", event.Away{
		Desk: o.Desk, Since: since, Escalation: o.Escalation, Operator: o.Operator, Incident: o.Incident,
		AcknowledgeBy: o.AcknowledgeBy, At: now, Next: p.deps.nextDesk(o.Desk),
	})
	if err != nil {
		return nil, err
	}
	// The alarm has been raised; what is left to see is the target.
	last, err := event.NewRecord(event.TimerSubject(escalationTimer(o.Escalation)), now, "", o)
	last.Due = o.AcknowledgeBy
	return []event.Record{away, last}, err
}

func (p *presence) answer(context.Context, bus.Request) (any, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return event.DesksAnswer{Screens: append([]event.Screen{}, p.screens...), Now: p.deps.Clock.Now()}, nil
}
