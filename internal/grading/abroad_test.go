package grading

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/schemas"
)

// elsewhere is a register of operators outside China.
const elsewhere = `
acknowledge: PT30M
fallback: supervisor
operators:
  - {id: bank, level: national, facilities: [{id: core, sector: finance, region: DE-HE, jurisdiction: EU, zone: Europe/Berlin}]}
  - {id: cloud, level: national, facilities: [{id: region-1, sector: cloud, region: IE, jurisdiction: EU, zone: Europe/Dublin}]}
  - {id: metro, level: national, facilities: [{id: signalling, sector: transport, region: HK, jurisdiction: HK, cii: true}]}
  - {id: water, level: national, facilities: [{id: plant, sector: water, region: SG, jurisdiction: SG, cii: true}]}
  - {id: port, level: national, facilities: [{id: cranes, sector: transport, region: AU-NSW, jurisdiction: AU, cii: true}]}
desks:
  - {id: supervisor, role: sector-regulator, level: national, sector: finance, jurisdiction: EU}
  - {id: csirt, role: csirt, level: national, jurisdiction: EU}
  - {id: regulator, role: sector-regulator, level: national, jurisdiction: EU}
  - {id: commissioner, role: sector-regulator, level: national, jurisdiction: HK}
  - {id: csa, role: sector-regulator, level: national, jurisdiction: SG}
  - {id: asd, role: sector-regulator, level: national, jurisdiction: AU}
`

// abroad tells the story of one incident of an operator of elsewhere.
type abroad struct {
	*story
	operator, facility string
}

func tellAbroad(t *testing.T, operator, facility string) abroad {
	t.Helper()
	packs, err := statute.Load(schemas.Statutes)
	require.NoError(t, err)
	reg, err := register.Decode([]byte(elsewhere))
	require.NoError(t, err)
	packs = packs.For(reg.Jurisdictions())
	require.NoError(t, reg.CheckDuties(packs))
	return abroad{tell(t, Rulebook{Statutes: packs, Register: reg}), operator, facility}
}

// at folds a report that is received at a time.
func (a abroad) at(received, kind, data string) *event.Graded {
	at, err := time.Parse(time.RFC3339, received)
	require.NoError(a.t, err)
	report := taken(kind, fmt.Sprint("r", a.seq), at, data)
	report.Operator = a.operator
	return a.fold(report)
}

// first folds the first report, which says when the incident was discovered.
func (a abroad) first(received, discovered, data string) *event.Graded {
	return a.at(received, "initial", fmt.Sprintf(`"facilities":[%q],"discoveredAt":%q,%s`, a.facility, discovered, data))
}

// dutyAt returns where a duty leads and when it is due, in a zone.
func dutyAt(g *event.Graded, zone, duty string) string {
	for _, d := range g.Duties {
		if d.Duty == duty {
			text := d.Desk + " " + at(zone, d.DueAt)
			if d.StrictDueAt != nil {
				text += " strictly " + at(zone, d.StrictDueAt)
			}
			return text
		}
	}
	return "not owed"
}

// owedAt returns when a stage is due, in a zone.
func owedAt(g *event.Graded, zone, id string) string {
	if o := owes(g, id); o != nil {
		return at(zone, o.DueAt)
	}
	return "not owed"
}

func at(zone string, due *time.Time) string {
	if due == nil {
		return "no clock"
	}
	z, err := time.LoadLocation(zone)
	if err != nil {
		panic(err)
	}
	return due.In(z).Format("Mon 2006-01-02 15:04")
}

const berlin = "Europe/Berlin"

// Delegated Regulation 2025/301, art. 5: four hours from classification and at most 24
// from awareness, 72 hours from the initial notification, one month from the latest
// intermediate report; what ends on a weekend moves to noon of the next working day.
func TestDORA_StageByStage(t *testing.T) {
	a := tellAbroad(t, "bank", "core")
	g := a.first("2026-11-26T10:30:00+01:00", "2026-11-26T08:00:00+01:00", `"classifiedAt":"2026-11-26T10:00:00+01:00","facts":{"named":{"critical-services":true,"malicious-access":true}}`)
	require.Equal(t, event.Major, g.Grade)
	require.Equal(t, "supervisor Thu 2026-11-26 14:00", dutyAt(g, berlin, "initial-notification"))
	require.Equal(t, "Mon 2026-11-30 12:00", owedAt(g, berlin, "eu-dora.intermediate-report"), "Sunday 10:30 moves")
	require.Equal(t, "no clock", owedAt(g, berlin, "eu-dora.final-report"))

	g = a.at("2026-11-27T09:00:00+01:00", "progress", `"impact":"more"`)
	require.Equal(t, "Mon 2026-11-30 12:00", owedAt(g, berlin, "eu-dora.intermediate-report"), "a report that is no stage discharges none")
	g = a.at("2026-11-30T11:00:00+01:00", "progress", `"stages":["intermediate"],"cause":"C"`)
	require.Equal(t, "not owed", owedAt(g, berlin, "eu-dora.intermediate-report"))
	require.Equal(t, "Thu 2026-12-31 00:00", owedAt(g, berlin, "eu-dora.final-report"), "24:00 of the 30th")
	g = a.at("2026-12-02T09:00:00+01:00", "progress", `"stages":["intermediate"],"trend":"T"`)
	require.Equal(t, "Mon 2027-01-04 12:00", owedAt(g, berlin, "eu-dora.final-report"), "one month from the latest: Saturday the 2nd moves")
	g = a.at("2027-01-04T11:59:00+01:00", "final", `"measures":"M"`)
	require.Empty(t, g.Owed)
	require.NotEmpty(t, g.Rules.Calendars["eu-weekends"], "what moved a due time is named")
	require.Len(t, g.Rules.Packs, 2, "the packs of its own jurisdiction")
}

// The first of two limits counts; the one from awareness lapses where the entity says that
// it classified the incident later (art. 5(2)).
func TestDORA_TheEarlierOfTwoLimits(t *testing.T) {
	const facts = `"facts":{"named":{"critical-services":true,"malicious-access":true}}`
	for _, row := range []struct{ classified, want string }{
		{"2026-11-24T09:00:00+01:00", "Tue 2026-11-24 13:00"},
		{"2026-11-25T06:00:00+01:00", "Wed 2026-11-25 08:00"}, // 24 hours from awareness
		{"2026-11-25T08:00:01+01:00", "Wed 2026-11-25 12:00"}, // it had not been classified by then
	} {
		g := tellAbroad(t, "bank", "core").first("2026-11-26T10:30:00+01:00", "2026-11-24T08:00:00+01:00", `"classifiedAt":"`+row.classified+`",`+facts)
		require.Equal(t, "supervisor "+row.want, dutyAt(g, berlin, "initial-notification"), row.classified)
	}
	g := tellAbroad(t, "bank", "core").first("2026-11-26T10:30:00+01:00", "2026-11-24T08:00:00+01:00", facts)
	require.Equal(t, "supervisor Wed 2026-11-25 08:00", dutyAt(g, berlin, "initial-notification"), "silence about the classification turns no clock back")
	late, err := tellAbroad(t, "bank", "core").rb.Late(&event.Accepted{Operator: "bank", Type: event.TypeInitial, ReceivedAt: g.At}, &event.Report{
		Facilities: []string{"core"}, DiscoveredAt: g.Duties[0].DueAt, OwnGrade: event.Major, About: event.AboutIncident,
	})
	require.NoError(t, err)
	require.Len(t, late, 1, "the receipt says that it is late; under NIS2 a bank reports nothing")
}

// Directive 2022/2555, art. 23: 24 hours, 72 hours, one month from the notification; for
// an ongoing incident a progress report then, and one month from the end of handling.
func TestNIS2_StageByStage(t *testing.T) {
	const dublin = "Europe/Dublin"
	a := tellAbroad(t, "cloud", "region-1")
	g := a.first("2026-11-27T16:40:00Z", "2026-11-27T16:00:00Z", `"facts":{"outage":[{"scope":"overall","since":"2026-11-27T16:20:00Z"}]}`)
	require.Empty(t, g.Duties)
	g = a.elapse()
	require.Equal(t, event.Major, g.Grade, "down for more than 30 minutes")
	require.Equal(t, "csirt Sat 2026-11-28 16:50 strictly Sat 2026-11-28 16:00", dutyAt(g, dublin, "early-warning"))
	require.Equal(t, "Mon 2026-11-30 16:00", owedAt(g, dublin, "eu-nis2.incident-notification"), "a weekend moves nothing")
	require.Equal(t, "no clock", owedAt(g, dublin, "eu-nis2.final-report"))

	g = a.at("2026-11-30T09:00:00Z", "progress", `"stages":["notification"]`)
	require.Equal(t, "not owed", owedAt(g, dublin, "eu-nis2.incident-notification"))
	require.Equal(t, "Thu 2026-12-31 00:00", owedAt(g, dublin, "eu-nis2.final-report"))
	require.Equal(t, []string{"progress"}, owes(g, "eu-nis2.final-report").OrReports)
	g = a.at("2026-12-20T09:00:00Z", "progress", `"stages":["progress"]`)
	require.Equal(t, "not owed", owedAt(g, dublin, "eu-nis2.final-report"))
	require.Equal(t, "no clock", owedAt(g, dublin, "eu-nis2.final-after-handling"))
	g = a.at("2027-01-10T09:00:00Z", "progress", `"handledAt":"2027-01-10T08:00:00Z"`)
	require.Equal(t, "Thu 2027-02-11 00:00", owedAt(g, dublin, "eu-nis2.final-after-handling"))
	g = a.at("2027-02-01T09:00:00Z", "final", `"cause":"C"`)
	require.Empty(t, g.Owed)
}

// A desk asks for a stage; the line of the law is cited, and any report of that stage
// after the question is the answer.
func TestNIS2_IntermediateReportOnRequest(t *testing.T) {
	a := tellAbroad(t, "cloud", "region-1")
	g := a.first("2026-11-27T16:40:00Z", "2026-11-27T16:00:00Z", `"ownGrade":"major"`)
	for _, o := range g.Owed {
		require.NotEqual(t, "intermediate", o.Report, "nobody has asked")
	}
	asked := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	until := asked.Add(6 * time.Hour)
	g = a.fold(&event.DeskAct{Kind: event.KindAsked, ID: "q", Desk: "csirt", Operator: "cloud", Incident: "x", Officer: "duty", Items: []string{"stages.intermediate"}, At: asked, DueAt: &until})
	o := owes(g, "ask-11")
	require.NotNil(t, o)
	require.Equal(t, "eu-nis2/intermediate-on-request", o.Statute+"/"+o.Rule)
	require.NotEmpty(t, o.Citation)
	require.True(t, o.DueAt.Equal(until))
	require.NotNil(t, owes(a.at("2026-11-28T10:00:00Z", "progress", `"impact":"I"`), "ask-11"))
	require.Nil(t, owes(a.at("2026-11-28T11:00:00Z", "progress", `"stages":["intermediate"]`), "ask-11"))
}

// Cap. 653: 48 hours, and 12 once the core function is disrupted or likely to be.
func TestHongKong_StageByStage(t *testing.T) {
	const hongKong = "Asia/Hong_Kong"
	a := tellAbroad(t, "metro", "signalling")
	g := a.first("2026-11-28T21:00:00+08:00", "2026-11-28T20:00:00+08:00", `"title":"T"`)
	require.Equal(t, "commissioner Mon 2026-11-30 20:00", dutyAt(g, hongKong, "notice"))
	require.Equal(t, "not owed", dutyAt(g, hongKong, "notice-of-disruption"))
	require.Equal(t, event.Major, g.CouldBe)
	require.Equal(t, "Sun 2026-12-13 00:00", owedAt(g, hongKong, "hk-cap653.written-report"))
	require.Equal(t, event.ConfidenceUnverified, owes(g, "hk-cap653.written-report").Confidence)

	g = a.at("2026-11-28T23:00:00+08:00", "progress", `"facts":{"named":{"core-function-disrupted":true}}`)
	require.Equal(t, "commissioner Sun 2026-11-29 11:00 strictly Sun 2026-11-29 08:00", dutyAt(g, hongKong, "notice-of-disruption"))
	g = a.at("2026-12-10T09:00:00+08:00", "progress", `"stages":["written-report"]`)
	require.Empty(t, g.Owed)
}

// A stage that recurs is owed again after each report until handling has ended.
func TestSingapore_QuarterlyReports(t *testing.T) {
	const singapore, quarterly = "Asia/Singapore", "sg-cyber.quarterly-report"
	a := tellAbroad(t, "water", "plant")
	g := a.first("2026-01-15T10:00:00+08:00", "2026-01-15T09:00:00+08:00", `"facts":{"named":{"disruptive":false}}`)
	require.Empty(t, g.Duties)
	require.Equal(t, "Thu 2026-04-16 00:00", owedAt(g, singapore, quarterly))
	g = a.at("2026-04-10T10:00:00+08:00", "progress", `"stages":["quarterly"]`)
	require.Equal(t, "Sat 2026-07-11 00:00", owedAt(g, singapore, quarterly))
	g = a.at("2026-07-11T10:00:00+08:00", "progress", `"stages":["quarterly"]`)
	require.Equal(t, "Mon 2026-10-12 00:00", owedAt(g, singapore, quarterly))
	g = a.at("2026-08-01T10:00:00+08:00", "progress", `"handledAt":"2026-08-01T09:00:00+08:00"`)
	require.Equal(t, "not owed", owedAt(g, singapore, quarterly))
}

// The written report counts from the oral one, once it is reported.
func TestAustralia_WrittenAfterTheOralReport(t *testing.T) {
	const sydney, written = "Australia/Sydney", "au-soci.written-record-of-oral-report"
	a := tellAbroad(t, "port", "cranes")
	g := a.first("2026-11-28T10:00:00+11:00", "2026-11-28T09:00:00+11:00", `"facts":{"named":{"significant-impact":true}}`)
	require.Equal(t, "asd Sat 2026-11-28 21:00", dutyAt(g, sydney, "critical-incident"))
	require.Equal(t, "no clock", owedAt(g, sydney, written))
	g = a.at("2026-11-28T12:00:00+11:00", "progress", `"oralNoticeAt":"2026-11-28T11:00:00+11:00"`)
	require.Equal(t, "Tue 2026-12-01 23:00", owedAt(g, sydney, written))
	g = a.at("2026-11-28T13:00:00+11:00", "progress", `"oralNoticeAt":"2026-11-28T12:30:00+11:00"`)
	require.Equal(t, "Tue 2026-12-01 23:00", owedAt(g, sydney, written), "a correction moves nothing later")
}

// A pack of one jurisdiction says nothing of a facility of another.
func TestRevise_EachFacilityUnderItsOwnLaw(t *testing.T) {
	g := tellAbroad(t, "metro", "signalling").first("2026-11-28T21:00:00+08:00", "2026-11-28T20:00:00+08:00", `"ownGrade":"major"`)
	for _, i := range g.Law {
		require.Equal(t, "hk-cap653", i.Statute)
	}
	for _, d := range g.Duties {
		require.Equal(t, "hk-cap653", d.Statute)
	}
}
