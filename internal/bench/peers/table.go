package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// print writes the table: a line for each measure, a column for each contender.
func (r *results) print(to io.Writer) error {
	t := &sheet{tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight), r}
	t.line("", "engine", func(c *result) string { return c.Title })
	if len(r.Engine) > 0 {
		limit := func(label string, read func(engineLimits) float64) {
			var v []float64
			for _, l := range r.Engine {
				v = append(v, read(l))
			}
			t.only(label, number(median(v)))
		}
		limit("engine alone: records/s, one by one", func(l engineLimits) float64 { return l.OneByOne })
		limit(fmt.Sprintf("  async, %d in flight", asyncPending), func(l engineLimits) float64 { return l.Async })
		limit(fmt.Sprintf("  atomic batches of %d", batchRecords), func(l engineLimits) float64 { return l.Batch })
	}
	if len(r.Of) > 0 {
		r.throughput(t)
	}
	if slices.ContainsFunc(r.Of, func(c *result) bool { return c.Latency != nil }) {
		floor := func(read func(latency) float64) string {
			if r.Floor == nil {
				return ""
			}
			return fmt.Sprintf("%.1f (floor)", read(*r.Floor))
		}
		p50, p99 := func(l latency) float64 { return l.P50 }, func(l latency) float64 { return l.P99 }
		t.line(fmt.Sprintf("publish → desk at %d/s: p50, ms", latencyRate), floor(p50), func(c *result) string { return millis(c.Latency, p50) })
		t.line("  p99, ms", floor(p99), func(c *result) string { return millis(c.Latency, p99) })
	}
	if slices.ContainsFunc(r.Of, func(c *result) bool { return c.Killed != nil }) {
		dead := func(label, format string, read func(*death) any) {
			t.line(label, "", func(c *result) string {
				if c.Killed == nil {
					return ""
				}
				return fmt.Sprintf(format, read(c.Killed))
			})
		}
		dead("kill -9 in the middle: lost", "%d", func(d *death) any { return d.Lost })
		dead("  stored twice", "%d", func(d *death) any { return d.Twice })
		dead("  delivered again", "%d", func(d *death) any { return d.Again })
		dead("  desks without news, s", "%.1f", func(d *death) any { return d.Stall })
		dead("  takes reports again after, s", "%.1f", func(d *death) any { return d.Answer })
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, note := range r.notes() {
		if _, err := fmt.Fprintln(to, note); err != nil {
			return err
		}
	}
	return nil
}

func (r *results) throughput(t *sheet) {
	t.line("reports/s, publish to the last desk", "", func(c *result) string { return number(c.perSecond()) })
	t.line("  slowest – fastest", "", func(c *result) string {
		low := slices.MinFunc(c.Rounds, func(a, b round) int { return cmp.Compare(a.perSecond(), b.perSecond()) })
		high := slices.MaxFunc(c.Rounds, func(a, b round) int { return cmp.Compare(a.perSecond(), b.perSecond()) })
		return number(low.perSecond()) + " – " + number(high.perSecond())
	})
	t.line("records stored/s", "", func(c *result) string {
		var v []float64
		for _, round := range c.Rounds {
			v = append(v, round.recordsPerSecond())
		}
		return number(median(v))
	})
	t.line(fmt.Sprintf("  reports in %d rounds", len(r.Of[0].Rounds)), "", func(c *result) string {
		first, last := c.Rounds[0].Events, c.Rounds[len(c.Rounds)-1].Events
		if first == last {
			return number(float64(first))
		}
		return number(float64(first)) + ", then " + number(float64(last))
	})
	whole := number(float64(r.Of[0].Rounds[0].Events))
	t.line("CPU seconds for "+whole, "", func(c *result) string { return fmt.Sprintf("%.1f", c.Rounds[0].CPU) })
	t.line("peak memory for "+whole+", MB", "", func(c *result) string { return number(c.Rounds[0].Memory) })
	t.line("results", "", func(c *result) string {
		for _, round := range c.Rounds {
			if !round.exact() {
				return fmt.Sprintf("lost %d, twice %d, wrong %d", round.Lost, round.Twice, round.Wrong)
			}
		}
		return "exact"
	})
	for _, projection := range []struct {
		name string
		of   func(round) *lag
	}{{"index", func(r round) *lag { return r.Index }}, {"tree", func(r round) *lag { return r.Tree }}} {
		t.line(projection.name+" behind at the end, records (s)", "", func(c *result) string {
			if l := projection.of(c.Rounds[0]); l != nil {
				return fmt.Sprintf("%s (%.2f)", number(float64(l.Records)), l.Seconds)
			}
			return ""
		})
	}
}

// diskMillis is less than any disk needs for an fsync, and more than an in-memory file
// system needs.
const diskMillis = 0.01

// notes describe the conditions of the measurements.
func (r *results) notes() []string {
	out := []string{"",
		fmt.Sprintf("%d processors for server, contender and driver; %s; an fsync of 1 KB takes %.2f / %.2f ms (p50 / p99) here; %.0f s in all.", r.CPUs, r.Go, r.Fsync.P50, r.Fsync.P99, r.Took),
		fmt.Sprintf("Of every 100 reports (CloudEvents of 1 KB) 5 go to 3 authorities, 1 is invalid. %d in flight. Every server syncs each write.", window),
		"A report counts when it is answered and graded and every desk has it through a durable consumer. Processor time and",
		"memory are of the contender with its server; tocsin's with index and tree caught up. A peer has at most " + strconv.Itoa(inHand) + " reports in hand",
		fmt.Sprintf("and gets those back after %v that it had in hand when it was killed; the engine's default is 30 s.", ackWait),
	}
	if r.Fsync.P50 < diskMillis {
		out = append(out, "An fsync as short as this is not of a disk: choose a folder on one with -dir.")
	}
	if len(r.Engine) > 0 {
		out = append(out, fmt.Sprintf("The engine alone writes tocsin's own records, %d bytes each with subject and headers. The floor relays a report over", r.Engine[0].Bytes),
			"three durable streams and looks at nothing; a peer has two records between report and desk, tocsin three.")
	}
	if own := r.named(tocsinName); own != nil {
		if len(r.Of) > 1 {
			out = append(out, fmt.Sprintf("tocsin / best peer, in reports/s of the same round: %.2f (median).", r.beside(own)))
		}
		if own.Latency != nil {
			out = append(out, "Where a desk's waiting for tocsin goes, ms (p50 / p99; mean of the slowest hundredth):")
			for _, s := range own.Latency.Stages {
				out = append(out, fmt.Sprintf("  %-20s %6.1f / %.1f; %.1f", s.Name, s.P50, s.P99, s.Slow))
			}
		}
		if len(r.Engine) > 0 {
			out = append(out, fmt.Sprintf("tocsin's records/s / the engine's in atomic batches, of the same round: %.2f (median).", r.besideEngine(own)))
		}
	}
	if o := r.Overload; o != nil {
		out = append(out, "", fmt.Sprintf("Overload: %s reports/s offered, %s sent. %s/s taken while it lasted, %.2f of the %s/s that it takes in as long otherwise; %s/s (%.2f) until the last desk was told, %.1f s later.", number(o.Offered), number(o.Sending), number(o.Taken), o.Taken/o.Alone, number(o.Alone), number(o.Told), o.Told/o.Alone, o.Behind),
			fmt.Sprintf("  told to try again %s, without any answer %s, taken and lost %d, peak memory %s MB.", number(float64(o.Busy)), number(float64(o.Silent)), o.Lost, number(o.MemoryMB)))
	}
	for _, g := range r.Growth {
		line := fmt.Sprintf("With %s records: %s reports/s, %s MB, restart after kill -9 %.1f s, index %.2f s and tree %.2f s behind", number(float64(g.Records)), number(g.Round.perSecond()), number(g.Round.Memory), g.Restart, g.Round.Index.Seconds, g.Round.Tree.Seconds)
		if g.Latency != nil {
			line += fmt.Sprintf(", publish → desk %.1f / %.1f ms", g.Latency.P50, g.Latency.P99)
		}
		if !g.Round.exact() {
			line += fmt.Sprintf("; lost %d, twice %d, wrong %d", g.Round.Lost, g.Round.Twice, g.Round.Wrong)
		}
		out = append(out, line+".")
	}
	return out
}

func (r *results) named(name string) *result {
	for _, c := range r.Of {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// beside returns the median of the rounds' ratios of one contender to the best of the
// others: a temporary disturbance of the machine affects the whole round.
func (r *results) beside(own *result) float64 {
	var ratios []float64
	for i, round := range own.Rounds {
		best := 0.0
		for _, c := range r.Of {
			if c != own && i < len(c.Rounds) {
				best = max(best, c.Rounds[i].perSecond())
			}
		}
		ratios = append(ratios, round.perSecond()/best)
	}
	return median(ratios)
}

// besideEngine returns the median of the rounds' ratios of a contender's records to those
// that the engine alone stores in atomic batches.
func (r *results) besideEngine(own *result) float64 {
	var ratios []float64
	for i, limits := range r.Engine {
		ratios = append(ratios, own.Rounds[i].recordsPerSecond()/limits.Batch)
	}
	return median(ratios)
}

// sheet is the table being written.
type sheet struct {
	*tabwriter.Writer
	r *results
}

// labelWidth is the width of the longest label: all have the same width, so that they
// begin at the left while the figures end at the right.
const labelWidth = 36

func (t *sheet) line(label, engine string, of func(*result) string) {
	cells := []string{fmt.Sprintf("%-*s", labelWidth, label), cmp.Or(engine, "–")}
	if label == "" {
		cells[1] = engine
	}
	for _, c := range t.r.Of {
		cells = append(cells, cmp.Or(of(c), "–"))
	}
	fmt.Fprintln(t, strings.Join(cells, "\t")+"\t")
}

// only writes a line for the engine alone.
func (t *sheet) only(label, engine string) { t.line(label, engine, func(*result) string { return "" }) }

func millis(l *latency, read func(latency) float64) string {
	if l == nil {
		return ""
	}
	return fmt.Sprintf("%.1f", read(*l))
}

// number rounds to a whole number with commas: 12,345.
func number(v float64) string {
	s := fmt.Sprintf("%.0f", v)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
