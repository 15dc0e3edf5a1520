package register_test

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/schemas"
)

// example returns the example register with some of its text replaced: old and new
// alternate.
func example(t testing.TB, replace ...string) string {
	t.Helper()
	raw, err := fs.ReadFile(schemas.Registers, "example.yaml")
	require.NoError(t, err)
	text := string(raw)
	for i := 0; i < len(replace); i += 2 {
		require.Contains(t, text, replace[i])
		text = strings.Replace(text, replace[i], replace[i+1], 1)
	}
	return text
}

func decode(t testing.TB, text string) *register.Register {
	t.Helper()
	r, err := register.Decode([]byte(text))
	require.NoError(t, err)
	return r
}

func packs(t testing.TB) *statute.Set {
	t.Helper()
	s, err := statute.Load(schemas.Statutes)
	require.NoError(t, err)
	return s
}

// listed returns one line for each fault: path and message.
func listed(err error) (lines []string) {
	for _, d := range fault.DetailsOf(err) {
		lines = append(lines, d.Path+": "+d.Message)
	}
	return lines
}

var position = regexp.MustCompile(` \(line [0-9]+, column [0-9]+\)$`)

// unplaced is listed without lines and columns, which every fault must have.
func unplaced(t testing.TB, err error) []string {
	lines := listed(err)
	for i, line := range lines {
		require.Regexp(t, position, line)
		lines[i] = position.ReplaceAllString(line, "")
	}
	return lines
}

func TestTheExampleRegisterIsSound(t *testing.T) {
	r := decode(t, example(t))
	require.NoError(t, r.CheckDuties(packs(t)))
	require.Len(t, r.SHA256, 64)
	require.Equal(t, example(t), string(r.Raw))
}

func TestEveryFaultAtOnce(t *testing.T) {
	_, err := register.Decode([]byte(`
fallback: nowhere
operators:
  - {id: a b, level: galactic, central: true, facilities: [{id: f, region: "31", cii: true}, {id: f, sector: s, region: "310000", protection: gate, classified: true}]}
  - {id: twice, level: county, office: gate, facilities: []}
  - {id: twice, level: county, facilities: [{id: g, sector: s, region: "310000", cii: true, protection: nobody}]}
desks:
  - {id: gate, role: keeper, level: province, region: shanghai, forward: confirm, next: nobody}
  - {id: gate, role: protection, level: national, forward: automatic}
  - {id: "", role: cyberspace, level: national, forward: "yes"}
`))
	require.Equal(t, fault.Reject, fault.KindOf(err))
	got := unplaced(t, err)
	var paths []string
	for _, line := range got {
		path, _, _ := strings.Cut(line, ": ")
		paths = append(paths, path)
	}
	require.ElementsMatch(t, []string{
		"$.acknowledge", "$.fallback",
		"$.desks[0].role", "$.desks[0].region", "$.desks[0].authority", "$.desks[0].next",
		"$.desks[1].id", "$.desks[1].authority", "$.desks[2].id", "$.desks[2].forward",
		"$.operators[0].id", "$.operators[0].level", "$.operators[0].office",
		"$.operators[0].facilities[0].region", "$.operators[0].facilities[0].sector", "$.operators[0].facilities[0].protection",
		"$.operators[0].facilities[1].id", "$.operators[0].facilities[1].classified", "$.operators[0].facilities[1].protection",
		"$.operators[1].office", "$.operators[1].facilities",
		"$.operators[2].id", "$.operators[2].facilities[0].protection",
	}, paths, strings.Join(got, "\n"))
}

func TestARegisterIsReadStrictly(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown key":    example(t, "fallback:", "fallbak: x\nfallback:"),
		"a key twice":       example(t, "acknowledge: PT30M", "acknowledge: PT30M\nacknowledge: PT1M"),
		"a key twice below": example(t, "{id: dispatch,", "{id: dispatch, id: dispatch-2,"),
		"a wrong type":      example(t, "cii: true", "cii: [maybe]"),
		"no duration":       example(t, "PT30M", "half an hour"),
		"no YAML":           "{",
		"a second document": example(t) + "\n---\nfallback: sh-cyberspace\n",
		"nothing":           "",
	} {
		_, err := register.Decode([]byte(text))
		require.Error(t, err, name)
		require.Equal(t, fault.Reject, fault.KindOf(err), name)
	}
}

// No scalar becomes another, and an unreadable one hides no other fault.
func TestDecode_ScalarsAsWritten(t *testing.T) {
	text := example(t, "acknowledge: PT30M", "acknowledge: 30m", "{id: dispatch,", "{id: 0010,", "level: national", "level: galactic", "cii: true", "cii: yes")
	_, err := register.Decode([]byte(text))
	got := strings.Join(listed(err), "\n")
	for _, want := range []string{
		`$.acknowledge: "30m" is not an ISO 8601 duration`,
		`$.operators[0].facilities[0].id: want text: quote it, "0010" (line `,
		"$.operators[0].facilities[0].cii: want true or false (line ",
		`.level: must be national, province, prefecture or county, got "galactic"`,
	} {
		require.Contains(t, got, want)
	}
	require.NotContains(t, got, "is required", "what cannot be read is not missing")

	r := decode(t, "\ufeff"+example(t, "{id: dispatch,", `{id: "0010",`))
	_, ok := mustOperator(t, r, "grid-east").Facility("0010")
	require.True(t, ok)
}

func mustOperator(t *testing.T, r *register.Register, id string) *register.Operator {
	t.Helper()
	o, ok := r.Operator(id)
	require.True(t, ok, id)
	return o
}

func TestCheckDutiesFindsWhoIsMissing(t *testing.T) {
	const (
		shanghai = "sh-cyberspace, name: {zh: 上海网信部门, en: Shanghai cyberspace department}, role: cyberspace, level: province, region: \"310000\""
		urumqi   = "urumqi-cyberspace, name: {zh: 乌鲁木齐网信部门, en: Urumqi cyberspace department}, role: cyberspace, level: prefecture, region: \"650100\""
		energy   = "forward: automatic, authority: \"Example authorisation 2025-1, energy\""
	)
	for _, row := range []struct {
		name    string
		replace []string
		want    []string
	}{
		{"a desk that receives", []string{urumqi, strings.Replace(urumqi, "650100", "650200", 1)},
			[]string{"$.operators[1].facilities[0]: nobody can receive the duty cn-xj-netsec-2017/unit-to-cyberspace-of-its-level: no desk of cyberspace at level prefecture covers region 650100"}},
		{"a desk that receives and passes on", []string{shanghai, strings.Replace(shanghai, "310000", "330000", 1)}, []string{
			"$.operators[0].facilities[1]: nobody can receive the duty cn-csirm-2025/other-operator-to-provincial-cyberspace: no desk of cyberspace at level province covers region 310000",
			"$.operators[0].facilities[1]: nobody can carry out the duty cn-csirm-2025/provincial-to-national-cyberspace: no desk of cyberspace at level province covers region 310000",
			"$.operators[0].facilities[1]: nobody can carry out the duty cn-csirm-2025/provincial-cyberspace-to-public-security: no desk of cyberspace at level province covers region 310000",
		}},
		{"an authority to forward", []string{", " + energy, ""}, []string{
			"$.operators[0].facilities[0]: the duty cn-cii-2021/protection-to-national-cyberspace is passed on by protection-energy, which authorises no forward",
			"$.operators[0].facilities[0]: the duty cn-cii-2021/protection-to-national-public-security is passed on by protection-energy, which authorises no forward",
			"$.operators[0].facilities[0]: the duty cn-csirm-2025/protection-to-national-cyberspace is passed on by protection-energy, which authorises no forward",
			"$.operators[0].facilities[0]: the duty cn-csirm-2025/protection-to-national-public-security is passed on by protection-energy, which authorises no forward",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := decode(t, example(t, row.replace...)).CheckDuties(packs(t))
			require.Equal(t, row.want, unplaced(t, err))
		})
	}
}

// A desk that confirms its forwards fulfils its duties as well as an automatic one.
func TestForwardConfirmIsTakenOnAuthority(t *testing.T) {
	const energy = `forward: automatic, authority: "Example authorisation 2025-1, energy"`
	r := decode(t, example(t, energy, strings.Replace(energy, "automatic", "confirm", 1)))
	require.Equal(t, "confirm", mustDesk(t, r, "protection-energy").Forward)
	require.NoError(t, r.CheckDuties(packs(t)))
	_, err := register.Decode([]byte(example(t, energy, "forward: confirm")))
	require.Equal(t, []string{"$.desks[2].authority: is required: a desk that forwards needs the document that authorises it"}, unplaced(t, err))
}

func TestSilenceLeadsInNoCircle(t *testing.T) {
	const national = "level: national, languages: [zh], designated: true, grades: true"
	for _, row := range []struct {
		name string
		next []string
		want []string
	}{
		{"itself", []string{national, national + ", next: national-cyberspace"},
			[]string{"$.desks[0].next: national-cyberspace cannot be its own next desk"}},
		{"two", []string{national, national + ", next: protection-energy"},
			[]string{"$.desks[0].next: a circle: national-cyberspace → protection-energy → national-cyberspace"}},
		{"three, met from outside", []string{national, national + ", next: urumqi-cyberspace", "next: xj-cyberspace}", "next: xj-public-security}"},
			[]string{"$.desks[0].next: a circle: national-cyberspace → urumqi-cyberspace → xj-public-security → national-public-security → national-cyberspace"}},
		{"one of two desks", []string{"next: xj-public-security}", "next: urumqi-public-security}"},
			[]string{"$.desks[17].next: urumqi-public-security cannot be its own next desk"}},
	} {
		_, err := register.Decode([]byte(example(t, row.next...)))
		require.Equal(t, row.want, unplaced(t, err), row.name)
	}
}

func TestRemindAndClockTolerance(t *testing.T) {
	r := decode(t, example(t))
	require.Equal(t, []float64{0.5, 0.9}, r.Remind)
	require.Equal(t, event.Duration(5*time.Minute), r.ClockTolerance)
	const remind, tolerance = "# remind: [0.5, 0.9]", "# clockTolerance: PT5M"
	r = decode(t, example(t, remind, "remind: [0.25, 0.75]", tolerance, "clockTolerance: PT0S"))
	require.Equal(t, []float64{0.25, 0.75}, r.Remind)
	require.Zero(t, r.ClockTolerance, "every difference is said")
	const two, one = ": must be two fractions above 0 and below 1, ascending, such as [0.5, 0.9]", ": must be a fraction above 0 and below 1"
	for list, want := range map[string]string{
		"[]": "$.remind" + two, "[0.5]": "$.remind" + two, "[0.5, 0.7, 0.9]": "$.remind" + two, "[0.9, 0.5]": "$.remind" + two, "[0.5, 0.5]": "$.remind" + two,
		"[0, 0.5]": "$.remind[0]" + one, "[0.5, 1]": "$.remind[1]" + one, "[-1, 0.5]": "$.remind[0]" + one,
	} {
		_, err := register.Decode([]byte(example(t, remind, "remind: "+list)))
		require.Equal(t, []string{want}, unplaced(t, err), list)
	}
	_, err := register.Decode([]byte(example(t, remind, "remind: [0.5, .nan]")))
	require.Equal(t, []string{"$.remind[1]: want a number in plain decimal, such as 1000 or 0.5 (line 16, column 15)"}, listed(err))
	for _, wrong := range []string{"soon", "P1M", "-PT5M", "5"} {
		_, err := register.Decode([]byte(example(t, tolerance, "clockTolerance: "+wrong)))
		require.Error(t, err, wrong)
	}
}

func TestWhoMayGradeAndWhoOutranksWhom(t *testing.T) {
	r := decode(t, example(t))
	for _, d := range r.Desks {
		require.Equal(t, d.Role != register.RolePublicSecurity, d.Grades, d.ID)
	}
	levels := []string{"national", "province", "prefecture", "county"}
	for i, above := range levels {
		for j, below := range levels {
			require.Equal(t, i < j, register.Outranks(&register.Desk{Level: above}, &register.Desk{Level: below}), "%s %s", above, below)
		}
	}
}

func TestResolveByLevelAndRegion(t *testing.T) {
	r := decode(t, example(t))
	for _, row := range []struct{ operator, facility, role, level, want string }{
		{"xj-hydro", "station-3", "cyberspace", "province", "xj-cyberspace"},
		{"xj-hydro", "station-3", "cyberspace", "own", "urumqi-cyberspace"},
		{"xj-hydro", "station-3", "public-security", "prefecture", "urumqi-public-security"},
		{"xj-hydro", "station-3", "cyberspace", "national", "national-cyberspace"},
		{"grid-east", "dispatch", "public-security", "own", "sh-public-security"},
		{"grid-east", "dispatch", "protection", "", "protection-energy"},
		{"ministry-portal", "portal", "cyberspace-office", "", "ministry-cyberspace-office"},
		{"grid-east", "dispatch", "cyberspace", "prefecture", ""},
		{"grid-east", "dispatch", "cyberspace", "galactic", ""},
		{"grid-east", "office-portal", "protection", "", ""},
		{"grid-east", "dispatch", "cyberspace-office", "", ""},
	} {
		o, ok := r.Operator(row.operator)
		require.True(t, ok)
		f, ok := o.Facility(row.facility)
		require.True(t, ok)
		d, err := r.Resolve(row.role, row.level, o, f)
		if row.want == "" {
			require.Error(t, err, "%+v", row)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, row.want, d.ID, "%+v", row)
	}
}

// 属地 is the operator's place, wherever its facility lies.
func TestParty_OfTheOperatorsPlace(t *testing.T) {
	region := `level: prefecture
    region: "320100"
`
	require.Contains(t, example(t), region)
	for _, row := range []struct{ seat, want string }{
		{region, "js-cyberspace"},
		{strings.Replace(region, "320100", "310000", 1), "sh-cyberspace"},
		{"level: prefecture\n", "js-cyberspace"}, // not registered: where its facility is
	} {
		r := decode(t, example(t, region, row.seat))
		o, _ := r.Operator("city-clinic")
		f, _ := o.Facility("records")
		at := statute.Party{Role: statute.RoleCyberspace, Level: statute.LevelProvince}
		id, err := r.Party(at, o, f)
		require.NoError(t, err)
		require.Equal(t, "js-cyberspace", id, "the facility has not moved")
		at.Of = statute.RoleOperator
		id, err = r.Party(at, o, f)
		require.NoError(t, err)
		require.Equal(t, row.want, id)
		require.Equal(t, "320100", f.Region, "the register never changes")
	}
}

func TestFirstRecipient(t *testing.T) {
	r := decode(t, example(t))
	for _, row := range []struct {
		operator   string
		facilities []string
		want       string
	}{
		{"grid-east", []string{"dispatch"}, "protection-energy"},
		{"grid-east", []string{"office-portal"}, "sh-cyberspace"},
		{"grid-east", []string{"gone", "office-portal"}, "sh-cyberspace"},
		{"grid-east", []string{"gone"}, "protection-energy"},
		{"grid-east", nil, "protection-energy"},
		{"city-clinic", nil, "js-cyberspace"},
		{"ministry-portal", []string{"portal"}, "bj-cyberspace"},
		{"stranger", []string{"dispatch"}, "national-cyberspace"},
		{"", nil, "national-cyberspace"},
	} {
		require.Equal(t, row.want, r.FirstRecipient(row.operator, row.facilities), "%+v", row)
	}
}

func TestGiveUpNamesWhatItCan(t *testing.T) {
	r := decode(t, example(t))
	now := time.Date(2026, 3, 2, 1, 0, 0, 0, time.UTC)
	give := r.GiveUp("classifier", clock.NewManual(now))
	const chinese = "2026/故障"
	token := event.Token(chinese)
	for _, row := range []struct{ name, subject, body, want, operator, incident, desk string }{
		{"a report", "incident.accepted.city-clinic." + token + ".r", `{"incident":"2026/故障","receivedAt":5,"event":{"data":{"facilities":["records"]}}}`,
			"incident.unhandled.classifier.city-clinic." + token + ".7", "city-clinic", chinese, "js-cyberspace"},
		{"a decision", "incident.graded.grid-east.x.1", `{"incident":"x","facilities":[{"id":"office-portal"}]}`,
			"incident.unhandled.classifier.grid-east.x.7", "grid-east", "x", "sh-cyberspace"},
		{"a body that names another incident", "incident.graded.grid-east.x.1", `{"incident":"y"}`,
			"incident.unhandled.classifier.grid-east.x.7", "grid-east", "x", "protection-energy"},
		{"what cannot be read", "incident.accepted.grid-east." + token + ".r", "no JSON",
			"incident.unhandled.classifier.grid-east." + token + ".7", "grid-east", token, "protection-energy"},
		{"a strange subject", "incident.accepted", "no JSON", "incident.unhandled.classifier.unknown.unknown.7", "unknown", "unknown", "national-cyberspace"},
	} {
		t.Run(row.name, func(t *testing.T) {
			in := event.Stored{Record: event.Record{Subject: row.subject, Data: []byte(row.body)}, Sequence: 7}
			record, err := give(in, 3, errors.New("cannot"))
			require.NoError(t, err)
			require.Equal(t, row.want, record.Subject)
			u, err := event.Decode[event.Unhandled](event.Stored{Record: record})
			require.NoError(t, err)
			require.Equal(t, event.Unhandled{Service: "classifier", Record: 7, Subject: row.subject, Error: "cannot", Attempts: 3, At: now,
				Operator: row.operator, Incident: row.incident, Desk: row.desk, AcknowledgeWithin: event.Duration(30 * time.Minute)}, *u)
		})
	}
}

// FuzzDecode checks that an accepted register has a first recipient for every facility.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(example(f)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := register.Decode(raw)
		if err != nil {
			require.Equal(t, fault.Reject, fault.KindOf(err))
			return
		}
		mustDesk(t, r, r.Fallback)
		for i := range r.Operators {
			o := &r.Operators[i]
			again, ok := r.OperatorByToken(event.Token(o.ID))
			require.True(t, ok)
			require.Same(t, o, again)
			for _, facility := range o.Facilities {
				mustDesk(t, r, r.FirstRecipient(event.Token(o.ID), []string{facility.ID}))
			}
		}
		_ = r.CheckDuties(packs(t)) // must not panic
	})
}

func mustDesk(t *testing.T, r *register.Register, id string) *register.Desk {
	t.Helper()
	d, ok := r.Desk(id)
	require.True(t, ok, id)
	return d
}

// abroad is a register of one German bank with two authorities that could be meant.
const abroad = `
acknowledge: PT30M
fallback: bafin
operators:
  - id: bank
    level: national
    facilities:
      - {id: core, sector: finance, region: DE-HE, jurisdiction: EU, zone: Europe/Berlin, cii: true}
desks:
  - {id: bafin, role: sector-regulator, level: national, region: DE, sector: finance, jurisdiction: EU}
  - {id: ecb, role: sector-regulator, level: national, sector: finance, jurisdiction: EU}
  - {id: energy, role: sector-regulator, level: national, sector: energy, jurisdiction: EU}
  - {id: other-land, role: sector-regulator, level: national, region: DE-BY, sector: finance, jurisdiction: EU}
  - {id: at-home, role: sector-regulator, level: national, sector: finance}
  - {id: csirt, role: csirt, level: national, jurisdiction: EU}
`

func TestResolve_ByJurisdictionSectorAndRegion(t *testing.T) {
	find := func(text, role, level string) (string, error) {
		r, err := register.Decode([]byte(text))
		require.NoError(t, err)
		o, _ := r.Operator("bank")
		f, _ := o.Facility("core")
		d, err := r.Resolve(role, level, o, f)
		if err != nil {
			return "", err
		}
		return d.ID, nil
	}
	for _, row := range []struct{ old, new, role, level, want, fault string }{
		{"", "", "sector-regulator", "", "bafin", ""}, // the smaller region
		{"", "", "sector-regulator", "national", "bafin", ""},
		{"", "", "csirt", "", "csirt", ""},
		{"region: DE,", "region: FR,", "sector-regulator", "", "ecb", ""},
		{"id: other-land, role: sector-regulator, level: national, region: DE-BY", "id: other-land, role: sector-regulator, level: province, region: DE", "sector-regulator", "", "",
			"bafin and other-land are both the desk of sector-regulator"},
		{"", "", "sector-regulator", "province", "", "no desk of sector-regulator at level province in EU covers region DE-HE"},
		{"", "", "data-regulator", "", "", "no desk of data-regulator in EU covers region DE-HE"},
	} {
		got, err := find(strings.Replace(abroad, row.old, row.new, 1), row.role, row.level)
		require.Equal(t, row.want, got, "%s %s", row.role, row.level)
		if row.fault != "" {
			require.ErrorContains(t, err, row.fault)
		}
	}
	r, err := register.Decode([]byte(abroad))
	require.NoError(t, err)
	require.Equal(t, []string{"EU"}, r.Jurisdictions())
	require.Equal(t, []string{"CN"}, decode(t, example(t)).Jurisdictions())
}

func TestDecode_RegionOfItsCountry(t *testing.T) {
	for _, row := range []struct{ old, new, fault string }{
		{"region: DE-HE", `region: "310000"`, "ISO 3166"},
		{"region: DE-HE, jurisdiction: EU, zone: Europe/Berlin, cii: true", "region: DE-HE", "GB/T 2260"},
		{"jurisdiction: EU, zone: Europe/Berlin", "jurisdiction: Europe", "two capital letters"},
		{"zone: Europe/Berlin", "zone: CET", "time zone such as"},
		{"region: DE, ", `region: "310000", `, "ISO 3166"},
		{"  - {id: csirt, role: csirt, level: national, jurisdiction: EU}", "  - {id: csirt, role: csirt, level: national, jurisdiction: EU}\n  - {id: again, role: csirt, level: national, jurisdiction: EU}", "which one is meant"},
	} {
		require.Contains(t, abroad, row.old)
		_, err := register.Decode([]byte(strings.Replace(abroad, row.old, row.new, 1)))
		require.ErrorContains(t, err, row.fault, row.new)
	}
}

// What a facility and an operator add for the packs must be known to them.
func TestCheckDuties_AttributesCalendarsAndRolesOfThePacks(t *testing.T) {
	for _, row := range []struct{ old, new, fault string }{
		{"zone: Europe/Berlin", "zone: Europe/Berlin, calendar: eu-weekends", ""},
		{"zone: Europe/Berlin", "zone: Europe/Berlin, calendar: de", `no calendar "de" beside the packs`},
		{"level: national\n    facilities", "level: national\n    attributes: {turnover: {amount: 5, currency: EUR}}\n    facilities", ""},
		{"level: national\n    facilities", "level: national\n    attributes: {turnover: much}\n    facilities", "$.operators[0].attributes.turnover"},
		{"level: national\n    facilities", "level: national\n    attributes: {colour: red}\n    facilities", "no statute pack in use declares this fact"},
		{"role: sector-regulator, level: national, region: DE, sector: finance", "role: csirt, level: national, region: DE, sector: energy", ""},
		{"sector: finance, region: DE-HE", "sector: rail, region: DE-HE", ""},
		{"  - {id: csirt, role: csirt, level: national, jurisdiction: EU}", "", ""},
	} {
		require.Contains(t, abroad, row.old)
		r, err := register.Decode([]byte(strings.Replace(abroad, row.old, row.new, 1)))
		require.NoError(t, err, row.new)
		err = r.CheckDuties(packs(t).For(r.Jurisdictions()))
		if row.fault == "" {
			require.NoError(t, err, row.new)
		} else {
			require.ErrorContains(t, err, row.fault)
		}
	}
	nobody := strings.NewReplacer("role: sector-regulator", "role: data-regulator").Replace(abroad)
	r, err := register.Decode([]byte(nobody))
	require.NoError(t, err)
	require.ErrorContains(t, r.CheckDuties(packs(t).For(r.Jurisdictions())), "nobody can receive the duty eu-dora/initial-notification: no desk of sector-regulator in EU")
}

// TestReadme_ExampleRegister reads the register that the documentation of the packs shows.
func TestReadme_ExampleRegister(t *testing.T) {
	raw, err := fs.ReadFile(os.DirFS("../../schemas/statutes"), "README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?ms)^```yaml\n(acknowledge: .*?)^```").FindSubmatch(raw)
	require.Len(t, blocks, 2, "the register is a block of its own")
	r, err := register.Decode(blocks[1])
	require.NoError(t, err)
	require.Equal(t, []string{"ZZ"}, r.Jurisdictions())
}
