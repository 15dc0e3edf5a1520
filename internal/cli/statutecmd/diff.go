package statutecmd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/statute"
)

func (e environment) diffCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Show what differs between two packs, or two folders of packs",
		Long: `Compares two packs line by line: criteria, duties, follow-ups, how long records are kept,
facts and consequences, each by its id, and what each says in words. Of two folders the
packs of the same id are compared. Fixtures are not: statute check runs them.

What only NEW has is marked +, what only OLD has −, what both have with other words ≠.
Exit code 0 whether or not anything differs.`,
		Example: "  tocsin statute diff schemas/statutes new-packs\n  tocsin statute diff --lang zh old.yaml new.yaml",
		Args:    command.Args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, a []string) error {
			before, err := readPacks(a[0])
			if err != nil {
				return err
			}
			after, err := readPacks(a[1])
			if err != nil {
				return err
			}
			return e.diff(before, after, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object on each line")
	return cmd
}

// readPacks reads the packs of a folder, or one from a file, sorted by id.
func readPacks(name string) ([]*statute.Pack, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		set, err := app.LoadPacks(name)
		if err != nil {
			return nil, err
		}
		return set.Packs(), nil
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	p, err := statute.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return []*statute.Pack{p}, nil
}

// lineChange is a line that differs.
type lineChange struct {
	Pack   string        `json:"pack"`
	Line   string        `json:"line"`   // duties/ID and so on; pack/ID for the pack itself
	Change string        `json:"change"` // added, removed or changed
	Fields []fieldChange `json:"fields"`
}

// fieldChange is what a line says otherwise; null where it says nothing.
type fieldChange struct {
	Field  string  `json:"field"`
	Before *string `json:"before"`
	After  *string `json:"after"`
}

// The kinds of lineChange.
const (
	lineAdded   = "added"
	lineRemoved = "removed"
	lineChanged = "changed"
)

// diff prints what differs. Two files are compared even if their ids differ: a draft may
// have one of its own. JSON is in English, whatever the user's language.
func (e environment) diff(before, after []*statute.Pack, asJSON bool) error {
	if asJSON {
		english := *e.Printer
		english.Lang = "en"
		e = environment{&english}
	}
	oneEach := len(before) == 1 && len(after) == 1
	var changes []lineChange
	for _, p := range before {
		i := slices.IndexFunc(after, func(q *statute.Pack) bool { return q.ID == p.ID || oneEach })
		var others []line
		if i >= 0 {
			others = e.describe(after[i])
		}
		changes = append(changes, compareLines(p.ID, e.describe(p), others, oneEach)...)
	}
	for _, q := range after {
		if !oneEach && !slices.ContainsFunc(before, func(p *statute.Pack) bool { return p.ID == q.ID }) {
			changes = append(changes, compareLines(q.ID, nil, e.describe(q), false)...)
		}
	}
	for _, c := range changes {
		if !asJSON {
			e.lineChange(c)
		} else if err := e.JSON(c); err != nil {
			return err
		}
	}
	if len(changes) == 0 && !asJSON {
		fmt.Fprintln(e.Out, e.Word("diff-none"))
	}
	return nil
}

// compareLines compares the lines of two versions of a pack. The first line of each is
// the pack itself, whose id may differ.
func compareLines(pack string, before, after []line, renamed bool) (changes []lineChange) {
	if renamed {
		after[0].path = before[0].path
	}
	for _, l := range before {
		i := slices.IndexFunc(after, func(m line) bool { return m.path == l.path })
		if i < 0 {
			changes = append(changes, lineChange{pack, l.path, lineRemoved, compareFields(l.fields, nil)})
		} else if fields := compareFields(l.fields, after[i].fields); fields != nil {
			changes = append(changes, lineChange{pack, l.path, lineChanged, fields})
		}
	}
	for _, m := range after {
		if !slices.ContainsFunc(before, func(l line) bool { return l.path == m.path }) {
			changes = append(changes, lineChange{pack, m.path, lineAdded, compareFields(nil, m.fields)})
		}
	}
	return changes
}

func compareFields(before, after []field) (changes []fieldChange) {
	find := func(fields []field, key string) *string {
		if i := slices.IndexFunc(fields, func(f field) bool { return f.key == key }); i >= 0 {
			return &fields[i].text
		}
		return nil
	}
	for _, f := range before {
		if now := find(after, f.key); now == nil || *now != f.text {
			changes = append(changes, fieldChange{f.key, &f.text, now})
		}
	}
	for _, f := range after {
		if find(before, f.key) == nil {
			changes = append(changes, fieldChange{f.key, nil, &f.text})
		}
	}
	return changes
}

func (e environment) lineChange(c lineChange) {
	sign := map[string]string{lineAdded: "+", lineRemoved: "−", lineChanged: "≠"}[c.Change]
	fmt.Fprintf(e.Out, "%s %s: %s\n", sign, c.Pack, c.Line)
	for _, f := range c.Fields {
		label := e.Word("field-" + f.Field)
		switch {
		case c.Change == lineAdded:
			fmt.Fprintf(e.Out, "    %s: %s\n", label, *f.After)
		case c.Change == lineRemoved:
			fmt.Fprintf(e.Out, "    %s: %s\n", label, *f.Before)
		default:
			fmt.Fprintf(e.Out, "    %s: %s → %s\n", label, e.orNothing(f.Before), e.orNothing(f.After))
		}
	}
}

func (e environment) orNothing(text *string) string {
	if text == nil {
		return e.Word("says-nothing")
	}
	return *text
}
