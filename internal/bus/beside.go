package bus

import (
	"context"
	"strings"
	"sync"

	"github.com/tocsin-project/tocsin/internal/event"
)

// beside knows the records that this process writes with records beside them
// (event.Record.Beside) and whose follower has not reached them. It is forgotten with the
// process: after a restart a follower handles such a record like any other, and finds
// its output stored.
type beside struct {
	mu      sync.Mutex
	written map[string]*pending // by subject
}

// maxBeside bounds the records written with others beside them that wait for their
// follower.
const maxBeside = 50_000

// add notes a record that is about to be written. It drops what is beside the record if
// that cannot be stored with it.
func (b *beside) add(p *pending) {
	for _, r := range p.record.Beside {
		if streamOf(r.Subject) != event.StreamLedger || strings.ContainsAny(r.Subject, notLiteral) || len(r.Data) > event.MaxRecord {
			p.record.Beside = nil
			return
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.written) >= maxBeside || len(p.record.Beside) >= batchRecords {
		p.record.Beside = nil
		return
	}
	if b.written == nil {
		b.written = map[string]*pending{}
	}
	b.written[p.record.Subject] = p
}

// take returns the pending write of a record, or nil if none was noted, and forgets it.
func (b *beside) take(subject string) *pending {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.written[subject]
	delete(b.written, subject)
	return p
}

// forget forgets a record that is not stored with what is beside it.
func (b *beside) forget(p *pending) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.written[p.record.Subject] == p {
		delete(b.written, p.record.Subject)
	}
}

// withoutBeside drops what is beside the records of a round.
func withoutBeside(round []*pending) []*pending {
	for _, p := range round {
		p.record.Beside = nil
	}
	return round
}

// messages returns how many messages a round has.
func messages(round []*pending) (n int) {
	for _, p := range round {
		n += 1 + len(p.record.Beside)
	}
	return n
}

// checkBeside finds out whether what a follower would make of a record was stored beside
// it; then the task is answered. It returns false if the write is still on its way: the
// task comes back once its outcome is known.
func (r *run) checkBeside(ctx context.Context, t *task) (known bool) {
	p := r.bus.beside.take(t.in.Subject)
	if p == nil {
		return true
	}
	select {
	case <-p.answer:
		t.answered = p.withBeside
		return true
	default:
	}
	t.inLine = true
	go func() {
		select {
		case <-p.answer:
			t.answered = p.withBeside
		case <-p.ended:
		case <-ctx.Done():
		}
		select {
		case r.resumed <- t:
		case <-ctx.Done():
		}
	}()
	return false
}
