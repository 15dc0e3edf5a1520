package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/bus/endpoint"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// signed returns the desk's signature of the record's body: nil without identities. An
// act that names the log it was signed for must be signed as tocsin/act/2, and for this
// log; any other as tocsin/act/1.
func (s service) signed(ctx context.Context, req endpoint.Request, signing api.Signing, subject string, body any) (*evidence.SignedAct, error) {
	if !s.deps.Endpoints.HasIdentities() {
		return nil, nil
	}
	kept, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	format, log := "", ""
	if signing != (api.Signing{}) {
		format = evidence.ActFormat2
		if log, err = s.log.get(ctx); err != nil {
			return nil, err
		}
	}
	wire := s.deps.Bus.Realm().Wire(subject)
	return s.deps.Endpoints.Signed(ctx, req, func(signed *evidence.SignedAct) error {
		signed.Format = format
		if err := signed.Verify(log, wire, kept); err != nil {
			return fmt.Errorf("for %s: %w", wire, err)
		}
		return nil
	})
}

// skew returns a warning if the desk's clock differs from ours by more than the register
// tolerates. In a drill the clock may run at any speed.
func (s service) skew(signing api.Signing) []fault.Detail {
	if signing.SignedAt == nil || s.deps.Bus.Realm() == event.Drill {
		return nil
	}
	differs := s.deps.Clock.Now().Sub(*signing.SignedAt)
	if differs.Abs() <= time.Duration(s.deps.Register.ClockTolerance) {
		return nil
	}
	where := "before"
	if differs < 0 {
		where = "after"
	}
	message := fmt.Sprintf("is %s %s the time of the record: the desk's clock is wrong, or the act was held up; the record's time counts", event.FormatDuration(differs.Abs().Round(time.Millisecond)), where)
	return []fault.Detail{{Path: "$.signedAt", Message: message}}
}

// logName caches the name of the log, which acts are signed for. It is asked from the
// ledger once; it does not change while a server runs.
type logName struct {
	endpoints *endpoint.Server

	mu   sync.Mutex
	name string // guarded by mu
}

// logNameTimeout bounds how long an act waits for the ledger.
const logNameTimeout = 2 * time.Second

func (l *logName) get(ctx context.Context) (string, error) {
	l.mu.Lock()
	name := l.name
	l.mu.Unlock()
	if name != "" {
		return name, nil
	}
	ctx, cancel := context.WithTimeout(ctx, logNameTimeout)
	defer cancel()
	var state api.LogState
	if err := l.endpoints.Ask(ctx, api.EndpointLog, struct{}{}, &state); err != nil {
		return "", fmt.Errorf("the name of the log: %w", err)
	}
	v, err := evidence.NewVerifier(state.Key)
	if err != nil {
		return "", fmt.Errorf("the name of the log: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name = v.Origin()
	return l.name, nil
}
