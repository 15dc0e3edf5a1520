package statute

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/statute/site"
)

// Quantities near the limits of the annex, where mistakes are.
var (
	lengths = []time.Duration{0, 9 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour,
		3 * time.Hour, 6*time.Hour - 1, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 48 * time.Hour}
	counts = []float64{0, 1, 999, 1000, 1e4, 99999, 1e5, 1e6, 5e6, 1e7, 2e7, 1e8, 1e9}
	shares = []float64{0, 0.29, 0.3, 0.49, 0.5, 1}
)

func number1(t *rapid.T, label string, from []float64) event.Number {
	return event.Number{Value: rapid.SampledFrom(from).Draw(t, label), AtLeast: rapid.Bool().Draw(t, label+" at least")}
}

func times(t *rapid.T, label string) event.Times {
	d := rapid.SampledFrom(lengths).Draw(t, label)
	since := t0.Add(-d)
	switch rapid.IntRange(0, 3).Draw(t, label+" form") {
	case 0:
		return event.Times{Since: &since}
	case 1:
		until := t0
		return event.Times{Since: &since, Until: &until}
	case 2:
		return event.Times{Duration: &event.Span{Duration: d, AtLeast: true}}
	default:
		return event.Times{Duration: &event.Span{Duration: d}}
	}
}

func maybe[T any](t *rapid.T, label string, draw func() T) *T {
	if !rapid.Bool().Draw(t, label+" known") {
		return nil
	}
	v := draw()
	return &v
}

func anyCase(t *rapid.T) Case {
	var c Case
	c.Operator.Central = rapid.Bool().Draw(t, "central")
	for _, name := range []string{"dispatch", "office-portal", "station-3", "records"} {
		if rapid.Bool().Draw(t, name) {
			c.Facilities = append(c.Facilities, facility(name))
		}
	}
	r := &c.Report
	r.About = rapid.SampledFrom([]event.About{event.AboutIncident, event.AboutIncident, event.AboutThreat}).Draw(t, "about")
	r.OwnGrade = event.Grade(rapid.IntRange(0, 4).Draw(t, "own"))
	f := &r.Facts
	for range rapid.IntRange(0, 3).Draw(t, "outages") {
		f.Outage = append(f.Outage, event.Outage{
			Facility: rapid.SampledFrom([]string{"", "dispatch", "office-portal"}).Draw(t, "facility"),
			Scope:    rapid.SampledFrom([]string{"overall", "main-function"}).Draw(t, "scope"),
			Times:    times(t, "outage"),
		})
	}
	drawSite := func(label string) event.Site {
		any := func(what string, from []string) string {
			return rapid.SampledFrom(append([]string{""}, from...)).Draw(t, label+" "+what)
		}
		if rapid.Bool().Draw(t, label+" earlier") {
			return event.Site{Class: rapid.SampledFrom(site.Levels).Draw(t, label+" class")}
		}
		return event.Site{Owner: any("owner", site.Owners), Level: any("level", site.Levels), Size: any("size", site.Sizes)}
	}
	f.SiteUnreachable = maybe(t, "site", func() event.SiteUnreachable {
		return event.SiteUnreachable{Site: drawSite("site"), Times: times(t, "site")}
	})
	f.Defacement = maybe(t, "defacement", func() event.Defacement {
		return event.Defacement{
			Site:    drawSite("defaced"),
			Page:    rapid.SampledFrom([]string{"", "home", "other"}).Draw(t, "page"),
			Reposts: maybe(t, "reposts", func() event.Number { return number1(t, "reposts", counts) }),
			Views:   maybe(t, "views", func() event.Number { return number1(t, "views", counts) }),
			Finding: rapid.SampledFrom(append([]string{""}, wideness...)).Draw(t, "finding"),
			Times:   times(t, "defacement"),
		}
	})
	f.PeopleAffected = maybe(t, "people", func() event.Number { return number1(t, "people", counts) })
	f.PersonalInformationPersons = maybe(t, "persons", func() event.Number { return number1(t, "persons", counts) })
	for range rapid.IntRange(0, 2).Draw(t, "shares") {
		f.PopulationShare = append(f.PopulationShare, event.Share{
			Level: rapid.SampledFrom([]string{"province", "prefecture"}).Draw(t, "level"), Share: number1(t, "share", shares)})
	}
	f.DirectLoss = maybe(t, "loss", func() event.Money {
		return event.Money{Amount: number1(t, "loss", counts), Currency: rapid.SampledFrom([]string{"CNY", "USD"}).Draw(t, "currency")}
	})
	words := append([]string{""}, seriousness...)
	f.SystemLoss = rapid.SampledFrom(words).Draw(t, "systemLoss")
	f.DataThreat = rapid.SampledFrom(words).Draw(t, "dataThreat")
	f.OtherThreat = rapid.SampledFrom(words).Draw(t, "otherThreat")
	return c
}

// removals take one fact away; a list loses an entry.
var removals = map[string]func(*event.Report){
	"own":        func(r *event.Report) { r.OwnGrade = event.Ungraded },
	"outage":     func(r *event.Report) { r.Facts.Outage = nil },
	"one outage": func(r *event.Report) { r.Facts.Outage = dropLast(r.Facts.Outage) },
	"site":       func(r *event.Report) { r.Facts.SiteUnreachable = nil },
	"defacement": func(r *event.Report) { r.Facts.Defacement = nil },
	"page": func(r *event.Report) {
		if d := r.Facts.Defacement; d != nil {
			bare := *d
			bare.Page = ""
			r.Facts.Defacement = &bare
		}
	},
	"whose site": func(r *event.Report) {
		if s := r.Facts.SiteUnreachable; s != nil {
			r.Facts.SiteUnreachable = &event.SiteUnreachable{Site: event.Site{Level: s.Level, Size: s.Size}, Times: s.Times}
		}
	},
	"people":     func(r *event.Report) { r.Facts.PeopleAffected = nil },
	"persons":    func(r *event.Report) { r.Facts.PersonalInformationPersons = nil },
	"shares":     func(r *event.Report) { r.Facts.PopulationShare = nil },
	"one share":  func(r *event.Report) { r.Facts.PopulationShare = dropLast(r.Facts.PopulationShare) },
	"loss":       func(r *event.Report) { r.Facts.DirectLoss = nil },
	"systemLoss": func(r *event.Report) { r.Facts.SystemLoss = "" },
	"dataThreat": func(r *event.Report) { r.Facts.DataThreat = "" },
}

func dropLast[T any](list []T) []T {
	if len(list) < 2 {
		return nil
	}
	return list[:len(list)-1]
}

func TestPropertyRemovingAFactNeverRaises(t *testing.T) {
	s := embedded(t).InForce(t0)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCase(t)
		whole := s.Assess(c, t0)
		for what, remove := range removals {
			less := c
			remove(&less.Report)
			a := s.Assess(less, t0)
			require.LessOrEqual(t, a.Grade, whole.Grade, what)
			require.LessOrEqual(t, len(a.Hits), len(whole.Hits), what)
		}
	})
}

func TestPropertyMoreNeverLowers(t *testing.T) {
	s := embedded(t).InForce(t0)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCase(t)
		before := s.Assess(c, t0).Grade
		more := time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "longer"))
		factor := rapid.Float64Range(1, 1000).Draw(t, "factor")
		grow := func(n *event.Number) *event.Number {
			if n == nil {
				return nil
			}
			return &event.Number{Value: n.Value * factor, AtLeast: n.AtLeast}
		}
		longer := func(v event.Times) event.Times {
			if v.Duration != nil {
				return event.Times{Duration: &event.Span{Duration: v.Duration.Duration + more, AtLeast: v.Duration.AtLeast}}
			}
			since := v.Since.Add(-more)
			return event.Times{Since: &since, Until: v.Until}
		}
		f := &c.Report.Facts
		f.Outage = slices.Clone(f.Outage)
		for i := range f.Outage {
			f.Outage[i].Times = longer(f.Outage[i].Times)
		}
		if f.SiteUnreachable != nil {
			f.SiteUnreachable = &event.SiteUnreachable{Site: f.SiteUnreachable.Site, Times: longer(f.SiteUnreachable.Times)}
		}
		if d := f.Defacement; d != nil {
			f.Defacement = &event.Defacement{Site: d.Site, Page: d.Page, Finding: d.Finding,
				Reposts: grow(d.Reposts), Views: grow(d.Views), Times: longer(d.Times)}
		}
		f.PeopleAffected, f.PersonalInformationPersons = grow(f.PeopleAffected), grow(f.PersonalInformationPersons)
		if f.DirectLoss != nil {
			f.DirectLoss = &event.Money{Amount: *grow(&f.DirectLoss.Amount), Currency: f.DirectLoss.Currency}
		}
		f.PopulationShare = slices.Clone(f.PopulationShare)
		for i := range f.PopulationShare {
			f.PopulationShare[i].Share.Value = min(1, f.PopulationShare[i].Share.Value*factor)
		}
		require.GreaterOrEqual(t, s.Assess(c, t0).Grade, before)
	})
}

func TestPropertyAssessmentHoldsTogether(t *testing.T) {
	s := embedded(t).InForce(t0)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCase(t)
		a := s.Assess(c, t0)
		require.GreaterOrEqual(t, a.CouldBe, a.Grade)
		require.GreaterOrEqual(t, a.Grade, c.Report.OwnGrade)
		for _, sg := range a.Statutes {
			require.GreaterOrEqual(t, sg.CouldBe, sg.Grade)
			require.GreaterOrEqual(t, sg.Grade, sg.Computed)
			require.LessOrEqual(t, sg.Grade, a.Grade)
		}
		for _, h := range a.Hits {
			require.LessOrEqual(t, h.Grade, a.Grade)
		}
		for _, u := range a.Unknown {
			require.Greater(t, u.Grade, under(a, u.Statute).Grade)
		}
		mirrored := c
		slices.Reverse(mirrored.Facilities)
		mirrored.Report.Facts.Outage = slices.Clone(c.Report.Facts.Outage)
		slices.Reverse(mirrored.Report.Facts.Outage)
		mirrored.Report.Facts.PopulationShare = slices.Clone(c.Report.Facts.PopulationShare)
		slices.Reverse(mirrored.Report.Facts.PopulationShare)
		require.Equal(t, a, s.Assess(mirrored, t0), "the order of a list says nothing")
	})
}

func TestPropertyNextIsTheFirstRise(t *testing.T) {
	s := embedded(t).InForce(t0)
	rapid.Check(t, func(t *rapid.T) {
		c := anyCase(t)
		a := s.Assess(c, t0)
		if a.Next == nil {
			require.Equal(t, a.Grade, s.Assess(c, t0.AddDate(1, 0, 0)).Grade, "time never raises it")
			return
		}
		require.Greater(t, a.Next.Grade, a.Grade)
		require.True(t, a.Next.At.After(t0))
		require.Equal(t, a.Next.Grade, s.Assess(c, a.Next.At).Grade)
		require.Equal(t, a.Grade, s.Assess(c, a.Next.At.Add(-1)).Grade)
	})
}
