package render

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
)

// What a limit of a statute says beside a length on the clock.
var (
	workingDays = regexp.MustCompile(`^(\d+) working days$`)
	months      = regexp.MustCompile(`^P(\d+)M$`)
	rolled      = regexp.MustCompile(`^(.+), on a day off until (\d\d:\d\d) of the next working day$`)
)

// Limit renders a limit of a statute in words, from the text that statute.Limit writes.
// Whole days are calendar days and remain days; 24 hours remain hours.
func (p *Printer) Limit(text string) string {
	if m := rolled.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf(p.Word("limit-rolls"), p.Limit(m[1]), m[2])
	}
	if m := workingDays.FindStringSubmatch(text); m != nil {
		return p.many("working-day", m[1])
	}
	if m := months.FindStringSubmatch(text); m != nil {
		return p.many("month", m[1])
	}
	d, err := event.ParseDuration(text)
	switch date, _, timed := strings.Cut(text, "T"); {
	case err != nil:
		return text
	case !timed && d%Day == 0:
		return p.many("day", strconv.Itoa(int(d/Day)))
	case date == "P" && d%time.Hour == 0:
		return p.many("hour", strconv.Itoa(int(d/time.Hour)))
	case date == "P" && d < time.Hour && d%time.Minute == 0:
		return p.many("minute", strconv.Itoa(int(d/time.Minute)))
	}
	return p.Length(d)
}

// many renders a number of units, in the singular for one.
func (p *Printer) many(unit, n string) string {
	if n == "1" {
		return p.Word("one-" + unit)
	}
	return fmt.Sprintf(p.Word("some-"+unit), n)
}

// Stage names a stage of reporting; one that only its pack knows has its own name.
func (p *Printer) Stage(name string) string {
	if _, ok := words["report-"+name]; ok {
		return p.Word("report-" + name)
	}
	return name
}
