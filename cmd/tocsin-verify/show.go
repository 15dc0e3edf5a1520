package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tocsin-project/tocsin/internal/printable"
)

// show prints the result for people: what holds on standard output, everything else on
// standard error.
func (o *options) show(r *result) {
	if r.Result == holds {
		if !o.quiet {
			o.showProved(r)
			o.showTransport(r)
		}
		return
	}
	if r.Export != nil {
		o.showFindings(r)
	}
	if r.Receipts != nil {
		for _, f := range r.Receipts.Faults {
			fmt.Fprintln(o.stderr, printable.Line(fmt.Sprintf(o.text("line-n")+": %s: %s", f.Line, o.text(f.Result), f.Error)))
		}
	}
	if r.Error != "" {
		fmt.Fprintf(o.stderr, "%s\n", printable.Line(fmt.Sprintf("%s: %s: %s", o.file, o.text(r.Result), r.Error)))
	}
}

// showTransport names changes and additions of transport, none of which alters the
// content.
func (o *options) showTransport(r *result) {
	if r.Export != nil && r.Export.PageCompared {
		o.row("page", o.text("page-compared"))
	}
	if len(r.Damage) > 0 {
		o.row("damaged", strings.Join(r.Damage, ", "))
	}
	if r.Export == nil {
		return
	}
	for _, d := range r.Export.Damaged {
		o.row("damaged", d.Path+": "+strings.Join(d.Damage, ", "))
	}
	for _, path := range r.Export.Extra {
		o.row("extra", path)
	}
}

func (o *options) showFindings(r *result) {
	for _, f := range slices.Concat(r.Export.Findings, r.Export.Unchecked) {
		where := f.Path
		if f.Record > 0 {
			where = fmt.Sprintf("%s: "+o.text("record-n"), f.Path, f.Record)
		}
		fmt.Fprintln(o.stderr, printable.Line(where+": "+f.Message))
	}
	n := uint64(len(r.Export.Findings)) + r.Export.More
	if n == 0 {
		if len(r.Export.Unchecked) > 0 {
			fmt.Fprintf(o.stderr, o.text("unchecked-export")+"\n", printable.Line(o.file), len(r.Export.Unchecked))
		}
		return
	}
	if r.Export.More > 0 {
		fmt.Fprintf(o.stderr, o.text("more")+"\n", r.Export.More)
	}
	fmt.Fprintf(o.stderr, o.text("faults")+"\n", printable.Line(o.file), n)
}

func (o *options) showProved(r *result) {
	out := o.stdout
	switch {
	case r.Receipt != nil:
		o.showReceipt(r)
		return
	case r.Receipts != nil:
		fmt.Fprintf(out, o.text("proved-receipts")+"\n", r.Receipts.Hold, printable.Line(r.Origin))
		o.row("log", r.Origin)
		o.showLimits("limit-true", "limit-time", "limit-receipt", "limit-report")
		return
	case r.Record != nil:
		fmt.Fprintf(out, o.text("proved-record")+"\n", r.Record.Record, printable.Line(r.Origin))
	case r.Kind == kindExport:
		fmt.Fprintf(out, o.text("proved-export")+"\n", printable.Line(r.Origin))
	case r.Kind == kindCheckpoint:
		fmt.Fprintf(out, o.text("proved-checkpoint")+"\n", printable.Line(r.Origin))
	default:
		fmt.Fprintf(out, o.text("proved-extends")+"\n", r.Extends.Size, r.Size, printable.Line(r.Origin))
	}
	o.row("log", r.Origin)
	o.row("checkpoint", fmt.Sprintf(o.text("covers"), r.Size, r.Root))
	if r.Extends != nil {
		o.row("extends", fmt.Sprintf(o.text("earlier"), r.Extends.Size, r.Extends.Root))
	}
	limits := []string{"limit-later", "limit-one-view"}
	if r.Record != nil {
		o.showRecord(r.Record)
		limits = append([]string{"limit-true", "limit-time"}, limits...)
	}
	if r.Export != nil {
		o.showExport(r)
		limits = append([]string{"limit-true", "limit-manifest"}, limits...)
		if o.identities == "" && len(r.Export.Acts.Identities)+len(r.Export.Removals.Identities) > 0 {
			limits = append(limits, "limit-identities")
		}
	}
	if r.Proof != "" {
		o.row("proof", r.Proof)
	}
	o.showLimits(limits...)
}

// showLimits lists what the check did not establish.
func (o *options) showLimits(limits ...string) {
	fmt.Fprintf(o.stdout, "%s\n", o.text("limits"))
	for _, limit := range limits {
		fmt.Fprintf(o.stdout, "  - %s\n", o.text(limit))
	}
}

// row prints a name and its value on one line.
func (o *options) row(name, value string) {
	fmt.Fprintf(o.stdout, "  %s%s\n", pad(o.text(name)), printable.Line(value))
}

// pad pads names to the same width; a Chinese character takes two columns.
func pad(name string) string {
	width := 0
	for _, r := range name {
		width++
		if r > 0x2e80 {
			width++
		}
	}
	return name + strings.Repeat(" ", max(1, 14-width))
}

func (o *options) showRecord(r *record) {
	o.row("record", fmt.Sprint(r.Record))
	o.row("subject", r.Subject)
	if r.Time != "" {
		o.row("time", r.Time)
	}
	o.row("entry", r.Entry.String())
	if s := r.Signed; s != nil {
		o.row("signed", fmt.Sprintf(o.text("signed-by"), s.By, s.Key, s.Identities))
		if at := s.SignedAt(); !at.IsZero() {
			o.row("signed-at", fmt.Sprintf(o.text("signed-when"), at.Format(time.RFC3339Nano)))
		}
	}
	o.showBody(r.body)
}

func (o *options) showReceipt(r *result) {
	c := r.Receipt
	fmt.Fprintf(o.stdout, o.text("proved-receipt")+"\n", printable.Line(r.Origin))
	o.row("log", r.Origin)
	o.row("status", c.Status)
	if c.Exercise {
		o.row("exercise", o.text("is-exercise"))
	}
	o.row("operator", c.Operator)
	o.row("incident", c.Incident)
	o.row("report", c.Report)
	for _, row := range [][2]string{{"source", c.Source}, {"type", c.Type}, {"durability", c.Durability}} {
		if row[1] != "" {
			o.row(row[0], row[1])
		}
	}
	if c.ReceivedAt != nil {
		o.row("time", c.ReceivedAt.Format(time.RFC3339Nano))
	}
	if c.Digest != "" {
		o.row("digest", c.Digest)
	}
	if c.Record > 0 {
		o.row("record", fmt.Sprint(c.Record))
	}
	if c.Entry != nil {
		o.row("entry", c.Entry.String())
	}
	limits := []string{"limit-true", "limit-time", "limit-receipt"}
	if o.report != "" {
		o.row("compared", o.report)
	} else {
		limits = append(limits, "limit-report")
	}
	o.showLimits(limits...)
}

// showBody prints a body with indented lines, so that none of them can be mistaken for
// ours.
func (o *options) showBody(body []byte) {
	var pretty bytes.Buffer
	switch {
	case json.Indent(&pretty, body, "    ", "  ") == nil && utf8.Valid(body):
		o.row("body", "")
		fmt.Fprintf(o.stdout, "    %s\n", pretty.String())
	default:
		o.row("body", fmt.Sprintf(o.text("binary"), len(body)))
		fmt.Fprintf(o.stdout, "    %s\n", base64.StdEncoding.EncodeToString(body))
	}
}

func (o *options) showExport(r *result) {
	e := r.Export
	o.row("range", fmt.Sprintf(o.text("range-of"), e.First, e.Last, e.Records, e.Removed))
	o.row("besides", fmt.Sprintf(o.text("besides-of"), e.Context, e.Entries))
	if e.Acts.Signed+e.Acts.Unsigned > 0 {
		o.row("acts", fmt.Sprintf(o.text("acts-of"), e.Acts.Signed, e.Acts.Unsigned))
	}
	if e.Removals.Signed+e.Removals.Unsigned > 0 {
		o.row("removals", strings.Join(append([]string{fmt.Sprintf(o.text("removals-of"), e.Removals.Signed, e.Removals.Unsigned)}, e.Removals.By...), ", "))
	}
	keys := slices.Concat(e.Acts.Identities, e.Removals.Identities)
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		o.row("identities", key)
	}
	for _, rules := range e.Rules {
		o.row("rules", fmt.Sprintf("%s %s, "+o.text("record-n")+", %s", rules.Kind, rules.ID, rules.Record, rules.SHA256))
	}
	o.row("manifest", e.Manifest)
	o.row("made", e.Made.Format(time.RFC3339))
}
