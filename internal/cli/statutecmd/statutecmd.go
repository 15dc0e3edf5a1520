// Package statutecmd has the commands of the statute packs: list, show, check and
// replay. Only replay asks a server, and none writes anything.
package statutecmd

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// environment is what the commands of the packs share.
type environment struct{ *render.Printer }

// New returns the command that has the commands of the packs below it.
func New(p *render.Printer) *cobra.Command {
	e := environment{p}
	cmd := &cobra.Command{Use: "statute", Short: "Read and check the statute packs"}
	cmd.AddCommand(e.listCommand(), e.showCommand(), e.checkCommand(), e.replayCommand())
	return cmd
}

func (e environment) listCommand() *cobra.Command {
	var rules command.Rules
	cmd := &cobra.Command{
		Use: "list", Short: "List the packs with their hashes", Args: command.Args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			rb, err := rules.Load()
			if err != nil {
				return err
			}
			packs, err := app.LoadPacks(rules.Statutes)
			if err != nil {
				return err
			}
			for _, p := range packs.Packs() {
				fmt.Fprintf(e.Out, "%-18s %s %s  %s", p.ID, p.Effective.From.Format(time.DateOnly), p.SHA256[:12], e.text(p.Title))
				if _, loaded := rb.Statutes.Pack(p.ID); !loaded {
					fmt.Fprintf(e.Out, " ("+e.Word("not-loaded")+")", p.Jurisdiction)
				}
				fmt.Fprintln(e.Out)
			}
			return nil
		},
	}
	rules.Flags(cmd)
	return cmd
}

func (e environment) showCommand() *cobra.Command {
	var rules command.Rules
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a pack: every criterion, duty and follow-up with its article", Args: command.Args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			packs, err := app.LoadPacks(rules.Statutes)
			if err != nil {
				return err
			}
			p, ok := packs.Pack(a[0])
			if !ok {
				return fmt.Errorf("no pack %q: see tocsin statute list", a[0])
			}
			e.pack(p)
			return nil
		},
	}
	rules.Flags(cmd)
	return cmd
}

func (e environment) checkCommand() *cobra.Command {
	var registerFile string
	cmd := &cobra.Command{
		Use: "check DIR", Short: "Check packs before they are used",
		Long: `Reads every *.yaml of DIR and checks each pack (gaps and overlaps of its thresholds, missing
and failing fixtures), the packs together, and the register with the packs (duties that
nobody can receive). Exit code 1 if there is any error.`,
		Args: command.Args(cobra.ExactArgs(1)),
		RunE: func(_ *cobra.Command, a []string) error {
			set, err := statute.Load(os.DirFS(a[0]))
			if err != nil {
				return err
			}
			findings := set.Check()
			failed := false
			for _, f := range findings {
				failed = failed || f.Severity == statute.SeverityError
				fmt.Fprintf(e.Out, "%s: %s: %s: %s\n", f.Severity, f.Pack, f.Path, f.Message)
			}
			if _, err := app.LoadRules(a[0], registerFile); err != nil {
				return err
			}
			fmt.Fprintf(e.Out, "%d packs, %d findings\n", len(set.Packs()), len(findings))
			if failed {
				return command.ErrRefused
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&registerFile, "register", "", "register to check the duties with (default: the example register)")
	return cmd
}

func (e environment) pack(p *statute.Pack) {
	fmt.Fprintf(e.Out, "%s  %s\n%s · %s\nSHA-256 %s\n", p.ID, e.text(p.Title), p.Source, e.text(p.Rank), p.SHA256)
	e.note(p.Note)
	for _, c := range p.Criteria {
		fmt.Fprintf(e.Out, "\n%s  %s%s\n  %s\n  %s %s\n", c.ID, e.GradeName(c.Grade), e.Confidence(c.Confidence), c.When, c.Citation, c.Quote)
		e.note(c.Note)
	}
	for _, d := range p.Duties {
		fmt.Fprintf(e.Out, "\n%s  %s  %s → %s  %s%s\n  %s %s\n", d.ID, e.Word(string(d.Act)), party(d.From), party(d.To), e.terms(statute.Terms(d.Within, d.Clock, d.OrEarlier)), e.Confidence(d.Confidence), d.Citation, d.Quote)
		e.note(d.Note)
	}
	for _, f := range p.FollowUps {
		what := strings.Join(f.Items, ", ")
		if len(f.Stages) > 0 {
			what = e.stages(f.Stages)
		}
		fmt.Fprintf(e.Out, "\n%s  %s: %s  %s%s\n  %s %s\n", f.ID, e.Word("follow-up"), what, e.recurring(f), e.Confidence(f.Confidence), f.Citation, f.Quote)
		e.note(f.Note)
	}
	for _, f := range p.Facts {
		fmt.Fprintf(e.Out, "\n%s  %s\n", f.Path(), e.text(f.Title))
	}
	for _, c := range p.Consequences {
		fmt.Fprintf(e.Out, "\n%s  %s%s\n  %s\n  %s %s\n", c.ID, e.Word("consequence"), e.Confidence(c.Confidence), e.text(c.Text), c.Citation, c.Quote)
		e.note(c.Note)
	}
}

// stages prints stages of which any is enough.
func (e environment) stages(list []string) string {
	names := make([]string, len(list))
	for i, stage := range list {
		names[i] = stage
		if stage == statute.StageFinal {
			names[i] = e.Word("report-final")
		}
	}
	return strings.Join(names, " / ")
}

// terms prints limits with what they count from, of which the first to end counts.
func (e environment) terms(terms []statute.Term) string {
	if len(terms) == 0 {
		return e.Word("promptly")
	}
	texts := make([]string, len(terms))
	for i, t := range terms {
		texts[i] = t.Within.String() + " (" + e.clock(t.Clock) + ")"
	}
	return strings.Join(texts, e.Word("or-earlier"))
}

// clock prints what a limit counts from.
func (e environment) clock(c statute.Clock) string {
	id, latest := c.Line()
	switch {
	case latest:
		return fmt.Sprintf(e.Word("clock-latest"), id)
	case id != "":
		return fmt.Sprintf(e.Word("clock-stage"), id)
	}
	return e.Word("clock-" + string(c))
}

// recurring prints the limits of a follow-up and whether it is owed again.
func (e environment) recurring(f statute.FollowUp) string {
	text := e.terms(statute.Terms(f.Within, f.Clock, f.OrEarlier))
	if f.OnRequest {
		text = e.Word("on-request")
	}
	if f.Every != nil {
		text += fmt.Sprintf(e.Word("every"), f.Every)
	}
	return text
}

func party(p statute.Party) string {
	if p.Level == "" {
		return string(p.Role)
	}
	return string(p.Role) + "/" + string(p.Level)
}

func (e environment) note(t statute.Text) {
	if s := e.text(t); s != "" {
		fmt.Fprintf(e.Out, "  (%s)\n", s)
	}
}

func (e environment) text(t statute.Text) string { return e.Pick([2]string{t.ZH, t.EN}) }
