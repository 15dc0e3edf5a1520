package command

import (
	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/grading"
)

// Rules are the flags that select packs and register.
type Rules struct{ Register, Statutes string }

// Flags adds the flags to a command.
func (r *Rules) Flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.Register, "register", "", "register of operators, facilities and desks (default: the example register)")
	cmd.Flags().StringVar(&r.Statutes, "statutes", "", "folder of statute packs that replaces the built-in ones")
}

// Load reads the packs and the register.
func (r *Rules) Load() (grading.Rulebook, error) { return app.LoadRules(r.Statutes, r.Register) }
