// Package statutecmd has the commands of the statute packs: list, show, check, diff
// and replay. Only replay asks a server, and none writes anything.
package statutecmd

import (
	"fmt"
	"os"
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
	cmd.AddCommand(e.listCommand(), e.showCommand(), e.checkCommand(), e.diffCommand(), e.replayCommand())
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
and failing fixtures, quotes that are not those of its sourceFile, citations without their
Chinese), the packs together, and the register with the packs (duties that nobody can
receive). Exit code 1 if there is any error.`,
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
