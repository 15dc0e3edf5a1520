package app_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
)

// What the law demands, one duty a line: recipient, act, obligor, limit from
// 09:00 when the report is received (discovered at 08:40; "-" is promptly),
// instrument and article. Written from the statutes, not from the packs.
const (
	none = ``

	// Measures art. 4 ¶2: 1 hour from discovery; 30 minutes from receipt.
	ciiLarge = `
		PROTECTION   report  OPERATOR  40m cn-csirm-2025 art. 4
		POLICE       report  OPERATOR  40m cn-csirm-2025 art. 4`
	ciiMeasuresUp = `
		national-cyberspace      forward PROTECTION 30m cn-csirm-2025 art. 4
		national-public-security forward PROTECTION 30m cn-csirm-2025 art. 4`
	// Decree 745 art. 18 ¶1 and ¶2: no number.
	decreeMajor = `
		PROTECTION   report  OPERATOR  - cn-cii-2021 art. 18 ¶1
		POLICE       report  OPERATOR  - cn-cii-2021 art. 18 ¶1`
	decreeUp = `
		national-cyberspace      forward PROTECTION - cn-cii-2021 art. 18 ¶2
		national-public-security forward PROTECTION - cn-cii-2021 art. 18 ¶2`
	ciiMajor = ciiLarge + decreeMajor + ciiMeasuresUp
	ciiGrave = ciiMajor + decreeUp

	// Xinjiang CII regulations art. 16: any incident or threat.
	xinjiangAny = `
		xj-cyberspace report OPERATOR - cn-xj-cii-2022 art. 16 ¶1
		PROTECTION    report OPERATOR - cn-xj-cii-2022 art. 16 ¶1
		POLICE        report OPERATOR - cn-xj-cii-2022 art. 16 ¶1`
	xinjiangUp = `
		national-cyberspace      forward PROTECTION - cn-xj-cii-2022 art. 16 ¶2
		national-public-security forward PROTECTION - cn-xj-cii-2022 art. 16 ¶2`
	// Xinjiang regulations of 2017: art. 45 to the unit's own level; art. 37 ¶2.
	xinjiangOwnLevel = `
		urumqi-cyberspace report OPERATOR - cn-xj-netsec-2017 art. 45`
	xinjiangLeak = `
		xj-cyberspace report OPERATOR - cn-xj-netsec-2017 art. 37 ¶2`

	// Measures art. 4 ¶4: 4 hours from discovery; 1 hour from receipt.
	otherLarge = `
		NET report OPERATOR 3h40m cn-csirm-2025 art. 4`
	otherMajor = otherLarge + `
		national-cyberspace forward NET 1h cn-csirm-2025 art. 4
		POLICE              notify  NET 1h cn-csirm-2025 art. 4`

	// Measures art. 4 ¶3: 2 hours from discovery; 1 hour from receipt.
	centralLarge = `
		ministry-cyberspace-office report OPERATOR 1h40m cn-csirm-2025 art. 4`
	centralMajor = centralLarge + `
		national-cyberspace forward ministry-cyberspace-office 1h cn-csirm-2025 art. 4`

	// Criminal Procedure Law art. 110 ¶1; the Measures say the same of incidents only.
	crimeProcedure = `
		POLICE crime-notice OPERATOR - cn-cpl-2018 art. 110 ¶1`
	crime = crimeProcedure + `
		POLICE crime-notice OPERATOR - cn-csirm-2025 art. 4`
)

// site is a facility of the example register and who is meant by the words
// above.
type site struct{ operator, facility, protection, police, net string }

var (
	dispatch     = site{"grid-east", "dispatch", "protection-energy", "sh-public-security", "sh-cyberspace"}
	officePortal = site{"grid-east", "office-portal", "", "sh-public-security", "sh-cyberspace"}
	station3     = site{"xj-hydro", "station-3", "protection-water", "xj-public-security", "xj-cyberspace"}
	clearing     = site{"metro-pay", "clearing", "protection-finance", "gd-public-security", "gd-cyberspace"}
	records      = site{"city-clinic", "records", "", "js-public-security", "js-cyberspace"}
	portal       = site{"ministry-portal", "portal", "", "bj-public-security", "bj-cyberspace"}
)

// law puts the names of a site into lines.
func (s site) law(lines string) []string {
	lines = strings.NewReplacer("OPERATOR", s.operator, "PROTECTION", s.protection, "POLICE", s.police, "NET", s.net).Replace(lines)
	var out []string
	for line := range strings.Lines(lines) {
		if f := strings.Fields(line); len(f) > 0 {
			out = append(out, strings.Join(f, " "))
		}
	}
	slices.Sort(out)
	return out
}

// Facts that reach a grade at any facility, and at CII only.
var reach = map[event.Grade][]string{
	event.General: {
		``, `"facts":{}`, `"ownGrade":"general"`, `"facts":{"peopleAffected":99999}`,
		`"facts":{"peopleAffected":{"atLeast":99999}}`, // could be grave: tells nobody
		`"facts":{"directLoss":{"amount":900000000,"currency":"USD"}}`, `"facts":{"systemLoss":"none"}`,
		`"facts":{"siteUnreachable":{"owner":"enterprise","duration":"PT1H59M59S"}}`, `"title":"故障","kind":"facility-fault"`,
	},
	event.RelativelyLarge: {
		`"ownGrade":"relatively-large"`, `"facts":{"peopleAffected":100000}`, `"facts":{"peopleAffected":{"atLeast":100000}}`,
		`"facts":{"directLoss":{"amount":5000000,"currency":"CNY"}}`, `"facts":{"systemLoss":"relatively-serious"}`,
		`"facts":{"siteUnreachable":{"owner":"enterprise","since":"2026-03-02T07:00:00+08:00"}}`,
		`"facts":{"defacement":{"owner":"enterprise","reposts":1000}}`,
		`"facts":{"populationShare":[{"level":"prefecture","region":"310100","share":0.3}]}`,
		`"ownGrade":"general","facts":{"peopleAffected":500000}`, // an own grade never lowers
	},
	event.Major: {
		`"ownGrade":"major"`, `"ownGrade":"major","facts":{"peopleAffected":5}`, `"facts":{"peopleAffected":1000000}`,
		`"facts":{"directLoss":{"amount":{"atLeast":20000000},"currency":"CNY"}}`, `"facts":{"otherThreat":"serious"}`,
		`"facts":{"siteUnreachable":{"owner":"party-government","level":"prefecture","since":"2026-03-01T22:00:00+08:00","until":"2026-03-02T04:00:00+08:00"}}`,
	},
	event.EspeciallyGrave: {
		`"ownGrade":"especially-grave"`, `"facts":{"peopleAffected":10000000}`, `"facts":{"dataThreat":"especially-serious"}`,
		`"facts":{"directLoss":{"amount":1e8,"currency":"CNY"}}`,
		`"facts":{"defacement":{"owner":"news","level":"central","page":"home","duration":"PT6H"}}`,
		`"facts":{"populationShare":[{"level":"province","region":"310000","share":0.5}]}`,
	},
}

var outage = map[event.Grade][]string{
	event.General: {
		`"facts":{"outage":[{"scope":"overall","duration":"PT9M59S"}]}`,
		`"facts":{"outage":[{"scope":"main-function","since":"2026-03-02T08:30:01+08:00"}]}`, // lasts, but not 30 minutes
	},
	event.RelativelyLarge: {
		`"facts":{"outage":[{"scope":"overall","duration":"PT10M"}]}`,
		`"facts":{"outage":[{"scope":"overall","since":"2026-03-02T08:50:00+08:00"}]}`,
		`"facts":{"outage":[{"scope":"main-function","since":"2026-03-02T06:00:00+08:00","until":"2026-03-02T06:30:00+08:00"}]}`,
	},
	event.Major: {
		`"facts":{"outage":[{"scope":"overall","since":"2026-03-02T08:00:00+08:00"}]}`,
		`"facts":{"outage":[{"scope":"main-function","duration":{"atLeast":"PT3H"}}]}`,
	},
	event.EspeciallyGrave: {
		`"facts":{"outage":[{"scope":"overall","duration":"PT6H"}]}`,
		`"facts":{"outage":[{"scope":"main-function","since":"2026-03-01T09:00:00+08:00"}]}`,
	},
}

var leak = map[event.Grade]string{
	event.General: "1", event.RelativelyLarge: "1000000", event.Major: "10000000", event.EspeciallyGrave: "100000000",
}

// row is one report and what must come of it.
type row struct {
	site     site
	incident string
	fields   string
	grade    event.Grade
	want     []string
}

// rows lists every row of "what the law then demands", and those it leaves out.
func rows() (out []row) {
	add := func(s site, fields string, grade event.Grade, law string) {
		if !strings.Contains(fields, `"facilities"`) {
			fields = strings.TrimSuffix(fmt.Sprintf(`"facilities":[%q],%s`, s.facility, fields), ",")
		}
		out = append(out, row{s, fmt.Sprintf("%s-%d", s.facility, len(out)), fields, grade, s.law(law)})
	}
	law := map[string][4]string{ // from general to especially grave
		"dispatch": {none, ciiLarge, ciiMajor, ciiGrave}, "clearing": {none, ciiLarge, ciiMajor, ciiGrave},
		"office-portal": {none, otherLarge, otherMajor, otherMajor}, "records": {none, otherLarge, otherMajor, otherMajor},
		"portal": {none, centralLarge, centralMajor, centralMajor},
		"station-3": {xinjiangAny, xinjiangAny + xinjiangOwnLevel + ciiLarge, xinjiangAny + xinjiangOwnLevel + ciiMajor,
			xinjiangAny + xinjiangUp + xinjiangOwnLevel + ciiGrave},
	}
	threats := map[string][4]string{
		"dispatch": {none, none, decreeMajor, decreeMajor + decreeUp}, "clearing": {none, none, decreeMajor, decreeMajor + decreeUp},
		"office-portal": {}, "records": {}, "portal": {},
		"station-3": {xinjiangAny, xinjiangAny, xinjiangAny + decreeMajor, xinjiangAny + xinjiangUp + decreeMajor + decreeUp},
	}
	for _, s := range []site{dispatch, officePortal, station3, clearing, records, portal} {
		for i, grade := range []event.Grade{event.General, event.RelativelyLarge, event.Major, event.EspeciallyGrave} {
			demand, threat := law[s.facility][i], threats[s.facility][i]
			facts := slices.Clone(reach[grade])
			if s.protection != "" {
				facts = append(facts, outage[grade]...)
			}
			for _, fields := range facts {
				add(s, fields, grade, demand)
			}
			leaked, crimeToo := fmt.Sprintf(`"facts":{"personalInformationPersons":%s}`, leak[grade]), demand+crime
			if s == station3 {
				add(s, leaked, grade, demand+xinjiangLeak)
			} else {
				add(s, leaked, grade, demand)
			}
			own := fmt.Sprintf(`"ownGrade":%q`, grade)
			add(s, own+`,"crimeSuspected":true`, grade, crimeToo)
			add(s, own+`,"crimeSuspected":false`, grade, demand)
			add(s, own+`,"about":"threat"`, grade, threat)
			add(s, own+`,"about":"threat","crimeSuspected":true`, grade, threat+crimeProcedure)
		}
	}
	// An outage of what is not CII has no number, however long.
	add(records, `"facts":{"outage":[{"scope":"overall","duration":"P2D"}]}`, event.General, none)
	// A facility beside CII of the same operator goes by art. 4 ¶2, unless its own incident
	// reaches the grade.
	both := `"facilities":["dispatch","office-portal"]`
	add(dispatch, both, event.General, none)
	add(dispatch, both+`,"ownGrade":"relatively-large"`, event.RelativelyLarge, ciiLarge)
	add(dispatch, both+`,"facts":{"peopleAffected":1000000}`, event.Major, ciiMajor)
	add(dispatch, both+`,"facts":{"outage":[{"facility":"dispatch","scope":"overall","duration":"PT1H"}]}`, event.Major, ciiMajor)
	add(dispatch, both+`,"facts":{"outage":[{"scope":"overall","duration":"PT1H"}]}`, event.Major, ciiMajor)
	add(dispatch, both+`,"facts":{"outage":[{"facility":"office-portal","scope":"overall","duration":"PT9H"}]}`, event.General, none)
	add(dispatch, both+`,"facts":{"siteUnreachable":{"owner":"enterprise","duration":"PT2H"}}`, event.RelativelyLarge, ciiLarge+otherLarge)
	add(dispatch, both+`,"facts":{"siteUnreachable":{"owner":"enterprise","duration":"PT2H"},"outage":[{"facility":"dispatch","scope":"overall","duration":"PT1H"}]}`,
		event.Major, ciiMajor+otherLarge)
	// A facility that only an outage names is named.
	add(dispatch, `"facilities":["office-portal"],"facts":{"outage":[{"facility":"dispatch","scope":"overall","duration":"PT1H"}]}`, event.Major, ciiMajor)
	// From an archive: everybody is told, no clock runs.
	for _, s := range []site{dispatch, records, portal} {
		demand := map[site]string{dispatch: ciiGrave, records: otherMajor, portal: centralMajor}[s]
		for _, limit := range []string{"3h40m", "1h40m", "40m", "30m", "1h"} {
			demand = strings.ReplaceAll(demand, " "+limit+" ", " - ")
		}
		add(s, `"ownGrade":"especially-grave","imported":true,"discoveredAt":"2025-12-01T00:00:00Z"`, event.EspeciallyGrave, demand)
	}
	return out
}

// line writes a duty as the law above is written.
func line(d event.Duty) string {
	due := "-"
	if d.DueAt != nil {
		due = strings.TrimSuffix(strings.TrimSuffix(d.DueAt.Sub(nine).String(), "0s"), "h0m")
		if !strings.HasSuffix(due, "m") {
			due += "h"
		}
	}
	_, article, _ := strings.Cut(d.Citation, "art. ")
	if d.Statute == "cn-csirm-2025" { // its paragraphs are not in the table
		article, _, _ = strings.Cut(article, " ")
	}
	return fmt.Sprintf("%s %s %s %s %s art. %s", d.Desk, d.Act, d.From, due, d.Statute, article)
}

func TestDuties_AreThoseOfTheLaw(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	all := rows()
	i := 0
	err := w.client.Reports(t.Context(), "", 64, func(yield func([]byte) error) error {
		for _, r := range all {
			if err := yield(cloudEvent("initial", r.site.operator, r.incident, "r1", r.fields)); err != nil {
				return err
			}
		}
		return nil
	}, func(receipt *event.Receipt) error {
		require.Equal(t, event.StatusAccepted, receipt.Status, "%s: %+v", all[i].fields, receipt.Errors)
		require.Equal(t, all[i].incident, receipt.Incident, "receipts come in the order of the reports")
		i++
		return nil
	})
	require.NoError(t, err)
	h := w.settled()
	for _, r := range all {
		t.Run(r.site.facility+" "+r.fields, func(t *testing.T) {
			g := h.last(t, r.site.operator, r.incident)
			require.Equal(t, r.grade, g.Grade)
			got := []string{}
			for _, e := range g.Escalations {
				told := h.told(g, e.Desk)
				require.Empty(t, told.Standing)
				require.Equal(t, r.grade, told.Grade)
				require.True(t, told.ReportedAt.Equal(nine))
				for _, d := range told.Duties {
					require.Equal(t, e.Desk, d.Desk)
					got = append(got, line(d))
				}
				checkSender(t, w, r, told)
			}
			slices.Sort(got)
			require.Equal(t, append([]string{}, r.want...), got)
		})
	}
	for _, s := range h.records { // CII is confidential: no record but the rules shows it
		if !strings.HasPrefix(s.Subject, "rules.") {
			var body map[string]any
			require.NoError(t, json.Unmarshal(s.Data, &body))
			require.NotContains(t, string(s.Data), `"cii":`)
		}
	}
}

// checkSender wants every duty cited, and a department's own duty marked as
// done by machine on its authority.
func checkSender(t *testing.T, w *world, r row, told *event.Escalated) {
	t.Helper()
	var due *time.Time
	for _, d := range told.Duties {
		require.Contains(t, d.Citation, "art. ")
		require.NotEmpty(t, d.Quote)
		require.NotEmpty(t, d.Confidence)
		if d.From == r.site.operator {
			require.Nil(t, d.OnBehalf)
		} else {
			require.NotNil(t, d.OnBehalf)
			require.Equal(t, "tocsin", d.OnBehalf.ActedBy)
			require.Contains(t, d.OnBehalf.Authority, "Example authorisation 2025-")
			require.False(t, d.OnBehalf.Verified)
		}
		if d.DueAt != nil && (due == nil || d.DueAt.Before(*due)) {
			due = d.DueAt
		}
	}
	require.Equal(t, due, told.DueAt, "the earliest")
	require.Equal(t, told.Duties[0].From, told.From)
	require.Equal(t, told.Duties[0].Act, told.Act)
	require.Equal(t, due, told.Duties[0].DueAt, "the duty due first stands first")
	require.False(t, told.Late)
	if strings.Contains(r.fields, `"imported":true`) {
		require.Nil(t, told.AcknowledgeBy, "nor does the house expect anything")
	} else {
		require.True(t, told.AcknowledgeBy.After(nine))
	}
}
