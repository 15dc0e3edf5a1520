package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/event"
)

// killCase is a report of one grade and the desks that the law then names.
var killCases = []struct {
	operator, facts string
	desks           []string
}{
	{"grid-east", `{"facilities":["dispatch"],"facts":{"directLoss":{"amount":4999999,"currency":"CNY"}}`, nil},
	{"grid-east", `{"facilities":["dispatch"],"facts":{"directLoss":{"amount":5000000,"currency":"CNY"}}`, []string{"protection-energy", "sh-public-security"}},
	{"metro-pay", `{"facilities":["clearing"],"facts":{"personalInformationPersons":10000000}`, []string{"gd-public-security", "national-cyberspace", "national-public-security", "protection-finance"}},
	{"xj-hydro", `{"facilities":["station-3"],"facts":{"peopleAffected":10000000}`, []string{"national-cyberspace", "national-public-security", "protection-water", "urumqi-cyberspace", "xj-cyberspace", "xj-public-security"}},
	{"city-clinic", `{"facilities":["records"],"facts":{"personalInformationPersons":1000000}`, []string{"js-cyberspace"}},
}

// TestKill kills the server at random moments while reports are sent repeatedly, and then
// checks the ledger against every receipt. Set TOCSIN_KILLS and TOCSIN_REPORTS for a
// longer run.
func TestKill(t *testing.T) {
	t.Parallel()
	kills, incidents := number("TOCSIN_KILLS", 3), number("TOCSIN_REPORTS", 200)
	s := startServer(t)
	c, err := client.Dial(s.url(), time.Minute)
	require.NoError(t, err)
	defer c.Close()

	var receipts []*event.Receipt
	sent := make(chan error, 1)
	go func() {
		sent <- c.Reports(context.Background(), "", 32, killReports(incidents), func(r *event.Receipt) error {
			receipts = append(receipts, r)
			time.Sleep(time.Duration(rand.IntN(8)) * time.Millisecond) // spread over the kills
			return nil
		})
	}()
	for range kills {
		time.Sleep(time.Duration(100+rand.IntN(400)) * time.Millisecond)
		s.kill()
		s.start()
	}
	require.NoError(t, <-sent)
	require.Len(t, receipts, 2*incidents)

	for i := range incidents {
		checkKilled(t, c, i, receipts[2*i:2*i+2])
	}
}

// killReports yields two reports for each incident: an initial and a progress one.
func killReports(incidents int) func(yield func([]byte) error) error {
	return func(yield func([]byte) error) error {
		for i := range incidents {
			k := killCases[i%len(killCases)]
			for r, kind := range []string{event.TypeInitial, event.TypeProgress} {
				data := k.facts + `,"containsNoStateSecrets":true,"discoveredAt":"2026-01-01T00:00:00Z"}`
				if r == 1 {
					data = `{"containsNoStateSecrets":true,"measures":"isolated"}`
				}
				raw := fmt.Sprintf(`{"specversion":"1.0","type":%q,"source":%q,"id":"r%d","subject":"kill-%d","time":"2026-01-01T00:0%d:00Z","data":%s}`,
					kind, event.SourceOf(k.operator), r, i, r, data)
				if err := yield([]byte(raw)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// story is what the ledger contains of one incident.
type story struct {
	accepted  map[uint64]event.Accepted
	revisions []int
	first     int              // the revision of the first report: it names the facility
	told      map[int][]string // desks by revision
	duties    map[string]bool  // desks that were told under a duty
	overdue   map[string]bool  // by subject: a long run outlasts the time that desks have
}

func storyOf(t *testing.T, c *client.Client, i int) story {
	t.Helper()
	s := story{accepted: map[uint64]event.Accepted{}, told: map[int][]string{}, duties: map[string]bool{}, overdue: map[string]bool{}}
	require.NoError(t, c.Show(t.Context(), killCases[i%len(killCases)].operator, fmt.Sprintf("kill-%d", i), func(entry api.StoryEntry) error {
		switch entry.Type {
		case event.KindAccepted:
			var a event.Accepted
			require.NoError(t, json.Unmarshal(entry.Body, &a))
			s.accepted[entry.Record] = a
		case event.KindGraded:
			var g event.Graded
			require.NoError(t, json.Unmarshal(entry.Body, &g))
			s.revisions = append(s.revisions, g.Revision)
			if g.Cause.Type == event.TypeInitial {
				s.first = g.Revision
			}
		case event.KindEscalated:
			var e event.Escalated
			require.NoError(t, json.Unmarshal(entry.Body, &e))
			s.told[e.Revision] = append(s.told[e.Revision], e.Desk)
			if len(e.Duties) > 0 {
				require.False(t, s.duties[e.Desk], "%s is told of one duty twice", e.Desk)
				s.duties[e.Desk] = true
			}
		case event.KindOverdue:
			require.False(t, s.overdue[entry.Subject], "%s is stored twice", entry.Subject)
			s.overdue[entry.Subject] = true
		default:
			require.Fail(t, "unexpected record", "%s %s", entry.Type, entry.Subject)
		}
		return nil
	}))
	return s
}

// settled reports whether both revisions and everything that they demand are stored. If
// the progress report was stored before the first one, it told nobody.
func (s story) settled(desks int) bool {
	got := 0
	for _, told := range s.told {
		got += len(told)
	}
	return len(s.revisions) == 2 && got >= desks*(3-s.first)
}

// catchUpWait is how long an incident may take to settle after the last kill. On a busy
// machine 1,000 kills leave thousands of reports that are stored and not graded.
const catchUpWait = 10 * time.Minute

// checkKilled checks the story of one incident against the law and the receipts.
func checkKilled(t *testing.T, c *client.Client, i int, receipts []*event.Receipt) {
	t.Helper()
	want := killCases[i%len(killCases)].desks
	var s story
	require.Eventually(t, func() bool { s = storyOf(t, c, i); return s.settled(len(want)) },
		catchUpWait, 50*time.Millisecond, "incident %d: %+v", i, &s)
	require.Len(t, s.accepted, 2)
	for _, r := range receipts {
		a, ok := s.accepted[r.Record]
		require.True(t, ok, "receipt %+v names a record of its incident", r)
		require.Equal(t, r.Report, a.Report)
		require.Equal(t, r.Digest, a.Digest)
		require.True(t, r.ReceivedAt.Equal(a.ReceivedAt))
	}
	require.Equal(t, []int{1, 2}, s.revisions)
	for revision := 1; revision <= 2; revision++ {
		told := s.told[revision]
		slices.Sort(told)
		if revision < s.first {
			require.Empty(t, told)
		} else {
			require.Equal(t, want, told, "incident %d revision %d", i, revision)
		}
	}
}

func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}
