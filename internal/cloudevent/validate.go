package cloudevent

import (
	"strings"
	"sync"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

// formats are the formats of strings that the schemas use, as we define them.
var formats = map[string]func(string) error{
	"date-time": func(s string) error { _, err := event.ParseInstant(s); return err },
	"duration":  func(s string) error { _, err := event.ParseDuration(s); return err },
}

// reportSchemas returns the embedded schemas by CloudEvents type.
var reportSchemas = sync.OnceValue(func() map[string]*document.Schema {
	compiled := make(map[string]*document.Schema)
	for _, t := range event.ReportTypes {
		compiled[t] = document.MustCompile(schemas.Reports, strings.TrimPrefix(t, "tocsin.report.")+".json", formats)
	}
	return compiled
})

// checkData adds every fault of the data of a report of the given type; path is the path
// of the data.
func checkData(f *document.Faults, path, reportType string, data document.Value) {
	reportSchemas()[reportType].Check(f, path, data)
	facts := data.Member("facts")
	for i, outage := range facts.Member("outage").Items {
		if endsTooEarly(outage) {
			f.Add(document.AppendIndex(path+".facts.outage", i)+".until", endBeforeBeginning)
		}
	}
	for _, name := range []string{"siteUnreachable", "defacement"} {
		if endsTooEarly(facts.Member(name)) {
			f.Add(path+".facts."+name+".until", endBeforeBeginning)
		}
	}
	checkShares(f, path, facts.Member("populationShare"))
}

const endBeforeBeginning = "must not be before since"

// endsTooEarly reports whether the end precedes the beginning. The schema has already
// refused values that are not times.
func endsTooEarly(times document.Value) bool {
	since, until := times.Member("since").Text(), times.Member("until").Text()
	if since == "" || until == "" {
		return false
	}
	begin, err1 := event.ParseInstant(since)
	end, err2 := event.ParseInstant(until)
	return err1 == nil && err2 == nil && end.Before(begin)
}

// checkShares refuses two shares for one region, which would contradict each other.
func checkShares(f *document.Faults, path string, list document.Value) {
	seen := make(map[[2]string]int)
	for i, share := range list.Items {
		region := share.Member("region")
		if region.Type() != document.TypeString {
			continue
		}
		key := [2]string{share.Member("level").Text(), region.Text()}
		if first, twice := seen[key]; twice {
			f.Add(document.AppendIndex(path+".facts.populationShare", i)+".region", "is given twice: see entry %d", first)
			continue
		}
		seen[key] = i
	}
}
