package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tocsin-project/tocsin/internal/event"
)

// rejectedAge keeps rejected reports for six calendar months: the longest six months have
// 184 days (cf. the six months of cn-xj-netsec-2017 art. 13(3)).
const rejectedAge = 184 * 24 * time.Hour

// streams returns the stream configurations that the guarantees need. LEDGER has no
// limits but one message per subject, so that the engine itself refuses a second; it has
// no DenyDelete, because a removal by order must be possible. TIMERS holds timers that
// are set, or due and not handled yet: it is emptied by purges, and schedules need
// roll-ups.
func streams(realm event.Realm) []jetstream.StreamConfig {
	all := []jetstream.StreamConfig{{
		Name: event.StreamLedger, Description: "every record, in one order, for ever",
		Subjects: event.SubjectsLedger, Storage: jetstream.FileStorage,
		Retention: jetstream.LimitsPolicy, MaxMsgsPerSubject: 1,
		Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
		DenyPurge: true, AllowDirect: true, AllowAtomicPublish: true,
	}, {
		Name: event.StreamRejected, Description: "refused reports, six calendar months",
		Subjects: event.SubjectsRejected, Storage: jetstream.FileStorage,
		Retention: jetstream.LimitsPolicy, MaxMsgsPerSubject: 1, MaxAge: rejectedAge,
		Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
		DenyPurge: true, AllowDirect: true, AllowAtomicPublish: true,
	}, {
		Name: event.StreamTimers, Description: "timers that are set, and those that came due and wait",
		Subjects: event.SubjectsTimers, Storage: jetstream.FileStorage,
		Retention: jetstream.LimitsPolicy, MaxMsgsPerSubject: -1, Discard: jetstream.DiscardOld,
		AllowRollup: true, AllowMsgSchedules: true, AllowDirect: true, AllowAtomicPublish: true,
	}}
	for i := range all {
		all[i].Name, all[i].Subjects = realm.Stream(all[i].Name), wired(realm, all[i].Subjects)
	}
	return all
}

// wired returns subjects in their wire form.
func wired(realm event.Realm, subjects []string) []string {
	out := make([]string, len(subjects))
	for i, s := range subjects {
		out[i] = realm.Wire(s)
	}
	return out
}

// ensureStream creates the stream, or refuses an existing one that differs in anything
// that a guarantee depends on. It never changes an existing stream.
func ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	s, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s, err = js.CreateStream(ctx, want)
	}
	if err != nil {
		return fmt.Errorf("bus: stream %s: %w", want.Name, err)
	}
	if diff := differences(want, s.CachedInfo().Config); len(diff) > 0 {
		return fmt.Errorf("bus: stream %s exists and differs from what its guarantees need: %v", want.Name, diff)
	}
	return nil
}

func differences(want, got jetstream.StreamConfig) []string {
	var out []string
	check := func(name string, w, g any) {
		if w != g {
			out = append(out, fmt.Sprintf("%s is %v, want %v", name, g, w))
		}
	}
	if !slices.Equal(want.Subjects, got.Subjects) {
		out = append(out, fmt.Sprintf("subjects are %v, want %v", got.Subjects, want.Subjects))
	}
	check("storage", want.Storage, got.Storage)
	check("retention", want.Retention, got.Retention)
	check("max messages a subject", want.MaxMsgsPerSubject, got.MaxMsgsPerSubject)
	check("discard", want.Discard, got.Discard)
	check("discard new per subject", want.DiscardNewPerSubject, got.DiscardNewPerSubject)
	check("deny purge", want.DenyPurge, got.DenyPurge)
	check("allow roll-up", want.AllowRollup, got.AllowRollup)
	check("allow schedules", want.AllowMsgSchedules, got.AllowMsgSchedules)
	check("allow direct", want.AllowDirect, got.AllowDirect)
	check("allow atomic publish", want.AllowAtomicPublish, got.AllowAtomicPublish)
	check("max age", want.MaxAge, got.MaxAge)
	check("max messages", int64(-1), got.MaxMsgs)
	check("max bytes", int64(-1), got.MaxBytes)
	check("persist mode", want.PersistMode, got.PersistMode)
	check("sealed", false, got.Sealed)
	check("mirror", true, got.Mirror == nil)
	check("sources", 0, len(got.Sources))
	return out
}
