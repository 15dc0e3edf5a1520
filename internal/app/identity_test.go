package app_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/natsd"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// guarded is the product with identities.
type guarded struct {
	t      testing.TB
	dir    string
	folder credential.Folder
	tokens map[string]string // for HTTP, by identity
	app    *app.App
}

// those who have a credential in every guarded world.
var known = []identity.Identity{
	{Role: identity.Operator, ID: "grid-east"},
	{Role: identity.Operator, ID: "xj-hydro"},
	{Role: identity.Desk, ID: "protection-energy", Screens: []string{"default", "wall"}},
	{Role: identity.Desk, ID: "sh-public-security", Screens: []string{"default", "wall"}},
	{Role: identity.Desk, ID: "protection-water", Screens: []string{"default", "wall"}},
	{Role: identity.Regulator, ID: "nation", Level: identity.National},
	{Role: identity.Regulator, ID: "xinjiang", Level: identity.Province, Region: "650000"},
	{Role: identity.Regulator, ID: "energy", Level: identity.National, Sector: "energy"},
	{Role: identity.Regulator, ID: "xj-energy", Level: identity.Province, Region: "650000", Sector: "energy"},
	{Role: identity.Regulator, ID: "xj-water", Level: identity.Province, Region: "650000", Sector: "water"},
	{Role: identity.Admin, ID: "admin"},
}

// issued are the credentials of known, made once and copied into each guarded world: to
// make them costs as much as to start a server.
type issued struct {
	files  map[string][]byte // by path in the folder
	tokens map[string]string // for HTTP, by identity
}

var issue = sync.OnceValues(func() (issued, error) {
	out := issued{files: map[string][]byte{}, tokens: map[string]string{}}
	dir, err := os.MkdirTemp("", "tocsin-issued-")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(dir)
	folder, now := credential.In(dir), clock.System{}.Now()
	if err := credential.Init(folder, now); err != nil {
		return out, err
	}
	for _, who := range known {
		if _, err := folder.Add(who, now, 0); err != nil {
			return out, err
		}
		token, kept := credential.NewToken(now, 0)
		out.tokens[who.String()] = token
		if err := folder.Change(who.Role, who.ID, func(h *credential.Holder) error {
			h.Tokens = append(h.Tokens, kept)
			return nil
		}); err != nil {
			return out, err
		}
	}
	return out, filepath.WalkDir(string(folder), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(string(folder), path)
		if err == nil {
			out.files[name], err = os.ReadFile(path)
		}
		return err
	})
})

// copyTo writes the credentials into a folder, dated long ago: files that have just
// changed are read again and again, because they may change within the same tick.
func (i issued) copyTo(t testing.TB, folder credential.Folder) {
	t.Helper()
	long := time.Now().Add(-time.Hour)
	dirs := map[string]bool{}
	for name, data := range i.files {
		path := filepath.Join(string(folder), name)
		dirs[filepath.Dir(path)] = true
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, data, 0o600))
		require.NoError(t, os.Chtimes(path, long, long))
	}
	for dir := range dirs {
		require.NoError(t, os.Chtimes(dir, long, long))
	}
}

func startGuarded(t testing.TB, change func(*app.Config)) *guarded {
	t.Helper()
	all, err := issue()
	require.NoError(t, err)
	dir := t.TempDir()
	g := &guarded{t: t, dir: dir, folder: credential.In(dir), tokens: all.tokens}
	all.copyTo(t, g.folder)
	g.app, err = app.Start(t.Context(), configIn(t, dir, change))
	require.NoError(t, err)
	t.Cleanup(g.app.Stop)
	return g
}

// configIn is the configuration of a server on the machine's clock.
func configIn(t testing.TB, dir string, change func(*app.Config)) app.Config {
	t.Helper()
	cfg := app.Config{
		Data: dir, NATSListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0",
		Rulebook: rules(t, "", ""), Clock: clock.System{}, Log: zap.NewNop(),
	}
	if change != nil {
		change(&cfg)
	}
	return cfg
}

// logTo is a log of everything.
func logTo(out io.Writer) *zap.Logger {
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(out)), zapcore.DebugLevel))
}

func (g *guarded) creds(role identity.Role, id string) string {
	return filepath.Join(string(g.folder), "creds", fmt.Sprintf("%s-%s.creds", role, id))
}

// as connects as an identity.
func (g *guarded) as(role identity.Role, id string) *client.Client {
	g.t.Helper()
	c, err := client.Dial(g.app.NATSAddr(), waitLimit, nats.UserCredentials(g.creds(role, id)))
	require.NoError(g.t, err)
	creds, err := os.ReadFile(g.creds(role, id))
	require.NoError(g.t, err)
	require.NoError(g.t, c.SignWith(creds))
	g.t.Cleanup(c.Close)
	return c
}

// peer is a client that is restricted only by the server.
type peer struct {
	*nats.Conn
	mu         sync.Mutex
	violations []string
	asked      int
	closed     chan struct{}
}

func (g *guarded) peer(creds string) *peer {
	g.t.Helper()
	p := &peer{closed: make(chan struct{})}
	var err error
	p.Conn, err = nats.Connect(g.app.NATSAddr(), nats.UserCredentials(creds), nats.NoReconnect(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.violations = append(p.violations, err.Error())
		}),
		nats.ClosedHandler(func(*nats.Conn) { close(p.closed) }))
	require.NoError(g.t, err)
	g.t.Cleanup(p.Close)
	return p
}

// denied returns the violations that the server has reported since the last call. It
// reports them in order, so a final known violation ends the list.
func (p *peer) denied(t testing.TB) (out []string) {
	t.Helper()
	p.asked++
	last := fmt.Sprint("sentinel.", p.asked)
	require.NoError(t, p.Publish(last, nil))
	require.NoError(t, p.Flush())
	require.Eventually(t, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		n := len(p.violations)
		if n == 0 || !strings.Contains(p.violations[n-1], strconv.Quote(last)) {
			return false
		}
		out, p.violations = p.violations[:n-1], nil
		return true
	}, waitLimit, time.Millisecond)
	return out
}

// subjectsDenied are those subjects of which the server says that they may not be
// used so.
func subjectsDenied(violations []string) map[string]bool {
	out := map[string]bool{}
	for _, v := range violations {
		if _, rest, ok := strings.Cut(v, `"`); ok {
			subject, _, _ := strings.Cut(rest, `"`)
			out[subject] = true
		}
	}
	return out
}

func threat(id string) []byte {
	return cloudEvent("initial", "grid-east", id, "r1", `"facilities":["dispatch"],"discoveredAt":"`+time.Now().Add(-time.Minute).Format(time.RFC3339)+`","title":"grid `+id+`","ransom":{"amount":5,"currency":"CNY"},"facts":{"outage":[{"facility":"dispatch","scope":"overall","duration":"PT7H"}]}`)
}

func TestIdentities_EachCanDoItsWork(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	ctx := t.Context()
	operator := g.as(identity.Operator, "grid-east")
	r, err := operator.Report(ctx, "grid-east", threat("i1"))
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, r.Status, "%+v", r.Errors)
	other := g.as(identity.Operator, "xj-hydro")
	r2, err := other.Report(ctx, "xj-hydro", cloudEvent("initial", "xj-hydro", "w1", "r1", `"facilities":["station-3"],"discoveredAt":"`+time.Now().Add(-time.Minute).Format(time.RFC3339)+`","facts":{"outage":[{"facility":"station-3","scope":"overall","duration":"PT7H"}]}`))
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, r2.Status, "%+v", r2.Errors)

	// The desk: its own consumer, with the plain client of the commands.
	desk := g.as(identity.Desk, "protection-energy")
	var told api.EscalationRow
	require.NoError(t, desk.Watch(ctx, "protection-energy", "wall", 1, time.Now, func(e *event.Escalated, row api.EscalationRow) error {
		told = row
		require.Contains(t, string(e.Report), "grid i1")
		return nil
	}))
	require.Equal(t, "i1", told.Incident)
	ack, err := desk.Acknowledge(ctx, "protection-energy", told.Escalation, "duty-officer")
	require.NoError(t, err)
	require.Equal(t, event.StatusAccepted, ack.Status, "%+v", ack.Errors)

	rows := func(c *client.Client, q api.Query) (out []string) {
		_, err := c.Query(ctx, q, 0, func(r api.EscalationRow) error {
			out = append(out, r.Desk+" "+r.Incident)
			return nil
		})
		require.NoError(t, err)
		return out
	}
	incidents := func(c *client.Client, q api.IncidentQuery) (out []string) {
		_, _, err := c.Incidents(ctx, q, 0, func(r api.IncidentRow) error {
			out = append(out, r.Incident)
			return nil
		})
		require.NoError(t, err)
		return out
	}
	nation, xinjiang, energy := g.as(identity.Regulator, "nation"), g.as(identity.Regulator, "xinjiang"), g.as(identity.Regulator, "energy")
	require.Eventually(t, func() bool { return len(incidents(nation, api.IncidentQuery{})) == 2 }, waitLimit, 10*time.Millisecond)
	require.Eventually(t, func() bool { return len(rows(nation, api.Query{})) >= 8 }, waitLimit, 10*time.Millisecond)
	for _, row := range rows(desk, api.Query{}) {
		require.Equal(t, "protection-energy i1", row)
	}
	require.Empty(t, rows(desk, api.Query{Desk: "sh-public-security"}), "whatever it asks for")
	for _, row := range rows(xinjiang, api.Query{}) {
		require.True(t, strings.HasSuffix(row, " w1"), row)
	}
	require.NotEmpty(t, rows(xinjiang, api.Query{}))
	require.Empty(t, rows(xinjiang, api.Query{Region: "310000"}))
	for _, row := range rows(energy, api.Query{}) {
		require.True(t, strings.HasSuffix(row, " i1"), row)
	}
	require.Equal(t, []string{"i1"}, incidents(operator, api.IncidentQuery{}))
	require.Empty(t, incidents(operator, api.IncidentQuery{Operator: "xj-hydro"}))
	require.Equal(t, []string{"w1"}, incidents(other, api.IncidentQuery{}))
	require.Equal(t, []string{"i1"}, incidents(desk, api.IncidentQuery{}))
	require.Empty(t, incidents(desk, api.IncidentQuery{Desk: "sh-public-security"}), "what another was told is not its business")
	require.Empty(t, incidents(g.as(identity.Regulator, "xj-energy"), api.IncidentQuery{}), "it is of one facility that both must hold")
	require.Empty(t, rows(g.as(identity.Regulator, "xj-energy"), api.Query{}))
	require.Equal(t, []string{"w1"}, incidents(g.as(identity.Regulator, "xj-water"), api.IncidentQuery{}))
	require.Equal(t, []string{"w1"}, incidents(xinjiang, api.IncidentQuery{}))
	require.Equal(t, []string{"i1"}, incidents(energy, api.IncidentQuery{}))

	story := func(c *client.Client, operator, incident string) (types []string) {
		require.NoError(t, c.Show(ctx, operator, incident, func(e api.StoryEntry) error {
			types = append(types, e.Type)
			return nil
		}))
		return types
	}
	require.NotEmpty(t, story(nation, "grid-east", "i1"))
	require.Empty(t, story(xinjiang, "grid-east", "i1"))
	require.NotEmpty(t, story(xinjiang, "xj-hydro", "w1"))
	require.Contains(t, story(nation, "grid-east", "i1"), event.KindRead, "that it was read is on the record")

	// Records by number: only those that the identity may see.
	for _, c := range []struct {
		who    *client.Client
		record uint64
		sees   bool
	}{
		{operator, r.Record, true}, {other, r.Record, false}, {desk, r.Record, false}, {desk, told.Record, true},
		{g.as(identity.Desk, "protection-water"), told.Record, false},
		{nation, r.Record, true}, {xinjiang, r.Record, false}, {xinjiang, r2.Record, true}, {energy, r2.Record, false},
		{operator, 1, false}, {nation, 1, true}, {g.as(identity.Admin, "admin"), r.Record, true},
	} {
		require.Eventually(t, func() bool {
			_, err := c.who.Prove(ctx, c.record)
			return err == nil == c.sees && (err == nil || !strings.Contains(err.Error(), "no checkpoint"))
		}, waitLimit, 20*time.Millisecond, "%+v", c)
	}
}

// Facts that only the desks told first need go no further: ransom terms, leads with their
// vulnerabilities, and whatever else may hold a secret.
func TestForward_DisclosesLess(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	secret := []string{"ransom", "leads", "scene", "other", "attachments"}
	w.report("initial", at, inc, "r1", onSite+`"title":"清算中断","cause":"存储故障","ransom":{"amount":5,"currency":"CNY","method":"x","demandedAt":"`+w.clock.Now().Format(time.RFC3339)+`"},
		"leads":"an unpatched vulnerability","scene":"kept","other":"a trade secret","attachments":[{"name":"dump","mediaType":"text/plain","sha256":"`+strings.Repeat("a", 64)+`"}],
		"facts":{"outage":[{"facility":"dispatch","scope":"overall","duration":"PT7H"}]}`)
	acts := map[event.Act]int{}
	for _, e := range w.settled().escalated {
		var said map[string]any
		require.NoError(t, json.Unmarshal(e.Report, &said))
		first := e.Act == event.ActReport || e.Act == event.ActCrimeNotice
		acts[e.Act]++
		require.Contains(t, said, "title", e.Desk)
		require.Contains(t, said, "cause", e.Desk)
		require.Contains(t, said, "facts", e.Desk)
		for _, item := range secret {
			require.Equal(t, first, said[item] != nil, "%s to %s by %s", item, e.Desk, e.Act)
		}
	}
	require.NotZero(t, acts[event.ActReport])
	require.NotZero(t, acts[event.ActForward])

	// Nor does what one desk writes about it reach another that is not told everything.
	due := w.clock.Now().Add(time.Hour)
	const words = "the note asks for five coins"
	w.act(event.DeskAct{Kind: event.KindAsked, ID: "a", Desk: "protection-energy", Items: []string{"support"}, DueAt: &due, Reason: words})
	w.act(event.DeskAct{Kind: event.KindDetermined, ID: "d", Desk: "protection-energy", Grade: event.EspeciallyGrave, Reason: words})
	w.report("progress", at, inc, "r2", `"impact":"more"`)
	seen := map[bool]int{}
	for _, e := range w.settled().escalated {
		raw, err := json.Marshal(e)
		require.NoError(t, err)
		less := strings.HasPrefix(e.Desk, "national-")
		if strings.Contains(string(raw), words) {
			seen[less]++
		}
	}
	require.Zero(t, seen[true])
	require.NotZero(t, seen[false])
}

// Every showing of a report is recorded, whichever way it is shown, once a day.
func TestReadings_AreRecordedOncePerDay(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	r, err := g.as(identity.Operator, "grid-east").Report(t.Context(), "grid-east", threat("i1"))
	require.NoError(t, err)
	head := g.settledHead()
	nation := g.peer(g.creds(identity.Regulator, "nation"))
	ask := func(endpoint, question string) {
		t.Helper()
		m, err := nation.Request(endpoint, []byte(question), waitLimit)
		require.NoError(t, err)
		require.NotContains(t, string(m.Data), `"errors"`)
	}
	for _, c := range []struct{ endpoint, question string }{
		{api.EndpointShow, `{"operator":"grid-east","incident":"i1","after":1}`},
		{api.EndpointRecords, fmt.Sprintf(`{"from":%d,"to":%d}`, r.Record, r.Record)},
		{api.EndpointRecords, fmt.Sprintf(`{"from":1,"to":%d}`, r.Record)},
	} {
		ask(c.endpoint, c.question)
		head++
		require.Equal(t, head, g.head(), "%s", c.question)
		ask(c.endpoint, c.question)
		require.Equal(t, head, g.head(), "again: %s", c.question)
	}
}

// With an outside NATS that lets in anybody the services do not trust the caller's name.
func TestOutsideNATS_MustEnforceOurAccounts(t *testing.T) {
	t.Parallel()
	open, err := natsd.Start(t.Context(), natsd.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Log: zap.NewNop()})
	require.NoError(t, err)
	t.Cleanup(open.Stop)
	dir := t.TempDir()
	require.NoError(t, credential.Init(credential.In(dir), time.Now()))
	_, err = app.Start(t.Context(), configIn(t, dir, func(cfg *app.Config) { cfg.NATS, cfg.Unverified = "nats://"+open.Addr(), true }))
	require.ErrorContains(t, err, "does not hold clients to the accounts")

	g := startGuarded(t, nil) // and with one that does they do
	other := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(other, "identity"), os.DirFS(string(g.folder))))
	a, err := app.Start(t.Context(), configIn(t, other, func(cfg *app.Config) { cfg.NATS, cfg.Unverified, cfg.HTTPListen = g.app.NATSAddr(), true, "" }))
	require.NoError(t, err)
	a.Stop()
	require.NoError(t, os.Remove(filepath.Join(other, "identity", "operator.jwt")))
	_, err = app.Start(t.Context(), configIn(t, other, nil))
	require.ErrorContains(t, err, "would let in anybody")
}

// settledHead is head once everything that follows from what is stored is stored too.
func (g *guarded) settledHead() uint64 {
	g.t.Helper()
	past, stream := newHistory(), g.ledger()
	require.Eventually(g.t, func() bool {
		past.read(g.t.Context(), g.t, stream, event.Real)
		return past.open() == ""
	}, waitLimit, 5*time.Millisecond)
	return past.through
}

func TestOperator_CannotReportForAnother(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	thief := g.as(identity.Operator, "xj-hydro")
	r, err := thief.Report(t.Context(), "xj-hydro", threat("i1")) // an event of grid-east's
	require.NoError(t, err)
	require.Equal(t, event.StatusRejected, r.Status)
	require.Contains(t, fmt.Sprint(r.Errors), "names the operator grid-east")
	_, err = thief.Report(t.Context(), "grid-east", threat("i1"))
	require.ErrorContains(t, err, "may not use report.grid-east")
	require.False(t, errors.Is(err, client.ErrUnreachable), "it is told at once")
}

func TestNATS_RefusesClientsWithoutCredentials(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	_, err := client.Dial(g.app.NATSAddr(), time.Second)
	require.ErrorContains(t, err, "--creds")
	elsewhere := credential.Folder(t.TempDir()) // keys of an operator of their own
	require.NoError(t, credential.Init(elsewhere, time.Now()))
	file, err := elsewhere.Add(known[0], time.Now(), 0)
	require.NoError(t, err)
	_, err = client.Dial(g.app.NATSAddr(), time.Second, nats.UserCredentials(file))
	require.Error(t, err)
	_, err = client.Dial(g.app.NATSAddr(), time.Second, nats.UserCredentials(elsewhere.Services()))
	require.Error(t, err)
}

// A revoked credential is cut off, over NATS and HTTP, and rotating gives another; a
// benchmark measures how soon.
func TestRevocation_DisconnectsTheClient(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	isRevoked := func() bool {
		holder, err := g.folder.Holder(identity.Regulator, "nation")
		require.NoError(t, err)
		return holder.Revoked != nil
	}
	comesIn := func() { // again, with a new credential where it has none
		t.Helper()
		if isRevoked() {
			_, err := g.folder.Rotate(identity.Regulator, "nation", nil, time.Now(), 0)
			require.NoError(t, err)
		}
		require.Eventually(t, func() bool {
			c, err := client.Dial(g.app.NATSAddr(), waitLimit, nats.UserCredentials(g.creds(identity.Regulator, "nation")))
			if err != nil {
				return false
			}
			defer c.Close()
			_, err = c.Log(t.Context())
			return err == nil
		}, waitLimit, 50*time.Millisecond)
	}
	for _, end := range []func() error{
		func() error { return g.folder.Revoke(identity.Regulator, "nation", time.Now()) },
		func() error { _, err := g.folder.Rotate(identity.Regulator, "nation", nil, time.Now(), 0); return err },
	} {
		comesIn()
		p := g.peer(g.creds(identity.Regulator, "nation"))
		_, err := p.Request(api.EndpointLog, []byte("{}"), waitLimit)
		require.NoError(t, err)
		void := filepath.Join(t.TempDir(), "void.creds")
		raw, err := os.ReadFile(g.creds(identity.Regulator, "nation"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(void, raw, 0o600))
		require.NoError(t, end())
		select {
		case <-p.closed:
		case <-time.After(waitLimit):
			require.Fail(t, "it is still connected")
		}
		comesIn()
		_, err = client.Dial(g.app.NATSAddr(), time.Second, nats.UserCredentials(void))
		require.Error(t, err, "what was revoked or replaced stays void")
	}
}

// A caller that may not report as another learns it for each of many reports, and does
// not wait.
func TestReport_ForbiddenIsToldToEveryConcurrentRequest(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	c := g.as(identity.Operator, "grid-east")
	var asked sync.WaitGroup
	for i := range 100 {
		asked.Go(func() {
			_, err := c.Report(t.Context(), "xj-hydro", threat(fmt.Sprint("i", i)))
			assert.ErrorContains(t, err, "may not use report.xj-hydro")
		})
	}
	asked.Wait()
}

// A request that is too large is refused permanently, and so is one whose answer is too
// large.
func TestRequest_TooLargeIsRefused(t *testing.T) {
	t.Parallel()
	g := startGuarded(t, nil)
	desk := g.as(identity.Desk, "protection-energy")
	_, err := desk.Query(t.Context(), api.Query{Text: strings.Repeat("x", 100<<10)}, 0, func(api.EscalationRow) error { return nil })
	require.ErrorContains(t, err, "may have 65536")
	require.False(t, errors.Is(err, client.ErrUnreachable), "it is told at once")
	_, err = desk.Query(t.Context(), api.Query{Cursor: strings.Repeat("x", 60<<10)}, 0, func(api.EscalationRow) error { return nil })
	require.ErrorContains(t, err, "cursor")
}
