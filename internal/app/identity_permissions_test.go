package app_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// subjectsOf returns the subjects that a caller might try: every endpoint as each
// identity would use it, what only services use, and the engine's own.
func subjectsTried() (out []string) {
	for _, realm := range []event.Realm{event.Real, event.Drill} {
		for _, p := range identity.Permissions {
			for _, who := range tried {
				if p.Engine != "" {
					for _, of := range []string{"protection-energy", "sh-public-security"} {
						for _, screen := range []string{"wall", "unknown"} {
							local := strings.NewReplacer("desk.*", "desk."+who.ID, "*", api.ScreenConsumer(of, screen), ">", "1.1.1.1.1").Replace(p.Subject)
							out = append(out, realm.WireScreen(local))
						}
					}
					continue
				}
				subject := strings.Replace(p.Subject, "*", who.ID, 1)
				out = append(out, realm.Wire(subject), realm.Wire(who.Subject(subject)))
			}
		}
		stream := realm.Stream(event.StreamLedger)
		for _, api := range []string{
			"INFO", "STREAM.NAMES", "STREAM.LIST", "STREAM.INFO." + stream, "STREAM.CREATE.X", "STREAM.UPDATE." + stream, "STREAM.DELETE." + stream,
			"STREAM.PURGE." + stream, "STREAM.MSG.GET." + stream, "STREAM.MSG.DELETE." + stream, "STREAM.SNAPSHOT." + stream, "STREAM.RESTORE.X",
			"DIRECT.GET." + stream, "DIRECT.GET." + stream + ".incident.accepted.grid-east.i1.r1",
			"CONSUMER.CREATE." + stream, "CONSUMER.CREATE." + stream + ".x", "CONSUMER.CREATE." + stream + ".x.incident.>", "CONSUMER.DURABLE.CREATE." + stream + ".x",
			"CONSUMER.NAMES." + stream, "CONSUMER.LIST." + stream, "CONSUMER.DELETE." + stream + ".desk_protection-energy:wall", "CONSUMER.PAUSE." + stream + ".desk_protection-energy:wall",
			"CONSUMER.INFO." + stream + ".desk_protection-energy:wall", "CONSUMER.RESET." + stream + ".desk_protection-energy:wall", "CONSUMER.UNPIN." + stream + ".desk_protection-energy:wall",
			"CONSUMER.MSG.NEXT." + stream + ".desk_protection-energy:wall",
			"STREAM.PEER.REMOVE." + stream, "STREAM.LEADER.STEPDOWN." + stream, "STREAM.TEMPLATE.CREATE.X", "META.LEADER.STEPDOWN", "SERVER.REMOVE", "ACCOUNT.PURGE.X", "ACCOUNT.STREAM.MOVE.X.Y",
		} {
			out = append(out, "$JS.API."+api)
		}
		for _, s := range []string{
			"incident.accepted.grid-east.i9.r9", "incident.graded.grid-east.i9.1", "incident.escalated.protection-energy.grid-east.i9.1",
			"incident.acknowledged.protection-energy.grid-east.i1.1", "rules.x", "rejected.grid-east.x", "timer.at.x", "timer.due.x",
			"$KV." + realm.Stream("POSITIONS") + ".router",
		} {
			out = append(out, realm.Wire(s))
		}
	}
	return append(out, "$SRV.PING", "$SRV.INFO.ledger", "$SYS.REQ.SERVER.PING", "$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.ACCOUNT.X.CLAIMS.UPDATE", "_R_.x", "by.service.tocsin.deadline.desks", "anything",
		"$JS.FC.LEDGER.x", "$SYS.ACCOUNT.X.CONNS", "$SYS.REQ.SERVER.X.KICK", "$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.USER.INFO", "$NRG.V.x", "$G.x")
}

// mayReach decides by the text of the issue, not by the table, which identity may use
// which subject.
func mayReach(who identity.Identity, subject string) bool {
	subject = strings.TrimPrefix(subject, "exercise.")
	subject = strings.Replace(subject, ".EXERCISE.", ".LEDGER.", 1)
	has := func(list ...string) bool {
		for _, s := range list {
			if s == subject {
				return true
			}
		}
		return false
	}
	asks := has("ledger.log", "ledger.tiles", "ledger.prove", "ledger.incidents")
	switch who.Role {
	case identity.Operator:
		return asks || has("report."+who.ID)
	case identity.Desk:
		own := "desk." + who.ID + "."
		return asks || has(own+"acknowledge", own+"act", own+"watch", own+"outcome", "ledger.escalations", "ledger.stats", "deadline.desks") ||
			has(own+"js.CONSUMER.MSG.NEXT.LEDGER.desk_"+who.ID+":wall", own+"js.CONSUMER.INFO.LEDGER.desk_"+who.ID+":wall", "$JS.ACK.LEDGER.desk_"+who.ID+":wall.1.1.1.1.1")
	case identity.Regulator:
		return asks || has("ledger.escalations", "ledger.stats", "ledger.incident", "ledger.records", "deadline.desks")
	case identity.Admin:
		return asks || has("ledger.escalations", "ledger.stats", "ledger.incident", "ledger.records", "ledger.audit", "ledger.remove", "ledger.archive", "deadline.desks")
	}
	return false
}

// tried are the identities that try, and whose subjects are tried: one of each role, and
// two of those that must not meet.
var tried = []identity.Identity{known[0], known[1], known[2], known[3], known[5], known[len(known)-1]}

// Every role tries every subject, to send to and to listen on. The result must match the
// table of the administrator's handbook.
func TestPermissions_AreAsTheTableSays(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	before := g.head()
	for _, who := range tried {
		p := g.peer(g.creds(who.Role, who.ID))
		subjects := subjectsTried()
		for _, subject := range subjects {
			require.NoError(t, p.PublishRequest(subject, "_INBOX.x", []byte("{")))
		}
		denied := subjectsDenied(p.denied(t))
		for _, subject := range subjects {
			require.Equal(t, !mayReach(who, subject), denied[subject], "%s sends to %s", who, subject)
		}
		subjects = append(subjects, ">", "*", "incident.>", "receipt.>", "receipt.*", "$JS.>", "$SYS.>", "_R_.>", "by.>")
		for _, subject := range subjects {
			_, err := p.SubscribeSync(subject)
			require.NoError(t, err)
		}
		denied = subjectsDenied(p.denied(t))
		for _, subject := range subjects {
			plain := strings.TrimPrefix(subject, "exercise.")
			hears := who.Role == identity.Operator && (plain == "receipt."+who.ID || plain == "reminder."+who.ID)
			require.Equal(t, !hears, denied[subject], "%s listens on %s", who, subject)
		}
	}
	require.Equal(t, before, g.head(), "nothing was written")
}

// ledger is the stream, by the services' own connection.
func (g *guarded) ledger() jetstream.Stream {
	g.t.Helper()
	nc, err := nats.Connect(g.app.NATSAddr(), nats.UserCredentials(g.folder.Services()))
	require.NoError(g.t, err)
	g.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	require.NoError(g.t, err)
	s, err := js.Stream(g.t.Context(), event.StreamLedger)
	require.NoError(g.t, err)
	return s
}

// head is the last record.
func (g *guarded) head() uint64 { return g.ledger().CachedInfo().State.LastSeq }

// unshown is how many escalations a screen was handed and has not shown.
func (g *guarded) unshown(consumer string) int {
	g.t.Helper()
	c, err := g.ledger().Consumer(g.t.Context(), consumer)
	require.NoError(g.t, err)
	return c.CachedInfo().NumAckPending
}

// A desk reaches only its own consumer, however it tries.
func TestDesk_ReachesOnlyItsOwnConsumers(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	ctx := t.Context()
	r, err := g.as(identity.Operator, "grid-east").Report(ctx, "grid-east", threat("i1"))
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, r.Status)
	own := g.as(identity.Desk, "protection-energy")
	shown, taken, showing := make(chan error, 1), make(chan struct{}), make(chan struct{})
	go func() {
		shown <- own.Watch(ctx, "protection-energy", "wall", 1, time.Now, func(*event.Escalated, api.EscalationRow) error {
			close(showing)
			<-taken
			return nil
		})
	}()
	<-showing
	thief := g.peer(g.creds(identity.Desk, "sh-public-security"))
	for _, prefix := range []string{"$JS.API", "desk.protection-energy.js", "desk.sh-public-security.js"} {
		for _, consumer := range []string{"desk_protection-energy:wall", "desk_protection-energy:default"} {
			require.NoError(t, thief.PublishRequest(prefix+".CONSUMER.MSG.NEXT.LEDGER."+consumer, "_INBOX.x", []byte(`{"batch":10,"no_wait":true}`)))
			require.Len(t, thief.denied(t), 1)
		}
	}
	// Nor may it take off another's screen what was not shown there.
	for _, ack := range []string{"1.2.1.1.0", "1.3.1.1.0", "1.4.1.1.0", "1.5.1.1.0", "1.6.1.1.0"} {
		require.NoError(t, thief.Publish("$JS.ACK.LEDGER.desk_protection-energy:wall."+ack, []byte("+ACK")))
	}
	require.Len(t, thief.denied(t), 5)
	require.Equal(t, 1, g.unshown("desk_protection-energy:wall"))
	close(taken)
	require.NoError(t, <-shown)
}

// A reply subject that names a record makes none, at any endpoint: otherwise a service
// would write it in the caller's place.
func TestReplySubject_MakesNoRecord(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	r, err := g.as(identity.Operator, "grid-east").Report(t.Context(), "grid-east", threat("i1"))
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, r.Status)
	desk := g.as(identity.Desk, "protection-energy")
	pending := errors.New("it stays to be delivered")
	require.ErrorIs(t, desk.Watch(t.Context(), "protection-energy", "wall", 1, time.Now, func(*event.Escalated, api.EscalationRow) error { return pending }), pending)
	before := g.settledHead()
	forged := "incident.acknowledged.protection-energy.grid-east.i1.1"
	for _, who := range tried {
		p := g.peer(g.creds(who.Role, who.ID))
		for _, subject := range subjectsTried() {
			if mayReach(who, subject) {
				data := []byte(`{`) // no question, so that nobody is shown anything
				if strings.Contains(subject, ".CONSUMER.") {
					data = []byte(`{"batch":1,"expires":3000000000}`)
				}
				require.NoError(t, p.PublishMsg(&nats.Msg{Subject: subject, Reply: forged, Data: data, Header: nats.Header{
					"Nats-Msg-Id": {"x"}, "Nats-Expected-Last-Subject-Sequence": {"0"}, "Nats-Rollup": {"all"}, "Nats-Batch-Id": {"x"}, "Nats-Batch-Sequence": {"1"}, "Nats-Batch-Commit": {"1"},
				}}))
			}
		}
		require.NoError(t, p.Flush())
	}
	// The engine delivers the escalation again to the request that came first: had it taken
	// one of those above, this would not come.
	require.NoError(t, desk.Watch(t.Context(), "protection-energy", "wall", 1, time.Now, func(*event.Escalated, api.EscalationRow) error { return nil }))
	require.Equal(t, before, g.settledHead())
}

// unanswered are subjects of the engine on which not every request is answered.
var unanswered = regexp.MustCompile(`^\$(JS\.API|NRG)\.`)

// The imports of an account are sufficient: a user of it without limits of its own
// reaches nothing that it may not.
func TestAccountImports_SufficeWithoutUserPermissions(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	before := g.head()
	for _, who := range tried {
		seed, err := os.ReadFile(filepath.Join(string(g.folder), "keys", fmt.Sprintf("%s-%s.nk", who.Role, who.ID)))
		require.NoError(t, err)
		account, err := nkeys.FromSeed(seed)
		require.NoError(t, err)
		user, err := nkeys.CreateUser()
		require.NoError(t, err)
		public, err := user.PublicKey()
		require.NoError(t, err)
		token, err := jwt.NewUserClaims(public).Encode(account)
		require.NoError(t, err)
		nc, err := nats.Connect(g.app.NATSAddr(), nats.UserJWT(func() (string, error) { return token, nil }, user.Sign))
		require.NoError(t, err)
		inbox := make(chan *nats.Msg, 4096)
		_, err = nc.ChanSubscribe("_INBOX.>", inbox)
		require.NoError(t, err)
		asked := map[string]string{} // by where the answer goes
		for i, subject := range subjectsTried() {
			if mayReach(who, subject) || strings.HasPrefix(subject, "_R_.") { // which no client may ever name
				continue
			}
			if subject == "$SYS.REQ.USER.INFO" || strings.HasPrefix(subject, "$SYS.REQ.ACCOUNT.PING.") { // of its own account
				continue
			}
			asked[fmt.Sprint("_INBOX.", i)] = subject
			require.NoError(t, nc.PublishRequest(subject, fmt.Sprint("_INBOX.", i), []byte("{}")))
		}
		refused := func(m *nats.Msg) {
			if m.Header.Get("Status") != "503" { // nobody takes it
				require.Regexp(t, `"error":{"code":[45]`, string(m.Data), "%s reaches %s", who, asked[m.Subject])
			}
			delete(asked, m.Subject)
		}
		isOpen := func(subject string) bool { return !unanswered.MatchString(subject) }
		for slices.ContainsFunc(slices.Collect(maps.Values(asked)), isOpen) {
			select {
			case m := <-inbox:
				refused(m)
			case <-time.After(waitLimit):
				require.Fail(t, "taken, and not answered", "%s: %v", who, asked)
			}
		}
		// The engine handles its requests in order: when it has answered this one, nothing
		// more comes.
		require.NoError(t, nc.Flush())
		g.head()
		require.NoError(t, nc.Flush())
		for len(inbox) > 0 {
			refused(<-inbox)
		}
		nc.Close()
	}
	require.Equal(t, before, g.head(), "nothing was written")
}
