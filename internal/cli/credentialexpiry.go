package cli

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/event"
)

// The default validity of credentials and tokens.
const (
	credentialValid = 365 * render.Day
	tokenValid      = 90 * render.Day
)

// validity is how long a credential or a token is valid.
type validity struct {
	period time.Duration // 0: until it is revoked
}

// The flags for a validity.
const (
	expiresFlag = "expires"
	validFlag   = "valid"
)

func (v *validity) flag(cmd *cobra.Command, standard time.Duration) {
	v.period = standard
	cmd.Flags().Var((*expires)(v), expiresFlag, fmt.Sprintf("when it expires: never, a number of days such as 30d, or a date (default: %dd)", standard/render.Day))
	cmd.Flags().Var((*valid)(v), validFlag, "how long it is valid, such as 36h; 0: until it is revoked")
	cmd.MarkFlagsMutuallyExclusive(expiresFlag, validFlag)
}

func (v *validity) given(cmd *cobra.Command) bool {
	return cmd.Flags().Changed(expiresFlag) || cmd.Flags().Changed(validFlag)
}

// valid is a flag that reads a duration.
type valid validity

func (v *valid) String() string { return "" }
func (v *valid) Type() string   { return "duration" }

// Set implements pflag.Value.
func (v *valid) Set(text string) (err error) {
	if v.period, err = time.ParseDuration(text); err == nil && v.period < 0 {
		err = fmt.Errorf("%s is in the past", text)
	}
	return err
}

// expires is a flag that reads a time in the future.
type expires validity

func (x *expires) String() string { return "" }
func (x *expires) Type() string   { return "never|DAYS|DATE" }

// Set implements pflag.Value.
func (x *expires) Set(text string) error {
	if text == "never" {
		x.period = 0
		return nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n int
		if _, err := fmt.Sscanf(days+"\n", "%d\n", &n); err != nil || n < 1 || n > 100*365 {
			return fmt.Errorf("%q is not a number of days such as 30d", text)
		}
		x.period = time.Duration(n) * render.Day
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		at, err = time.ParseInLocation(time.DateOnly, text, event.Beijing)
	}
	if err != nil {
		return fmt.Errorf("%q is neither never, nor a number of days such as 30d, nor a date", text)
	}
	if x.period = at.Sub(clock.System{}.Now()); x.period < time.Second {
		return fmt.Errorf("%s is in the past", text)
	}
	return nil
}

func (e *environment) credentialSigningKey(data *string) *cobra.Command {
	var operator string
	cmd := &cobra.Command{
		Use:   "signing-key",
		Short: "Replace the signing key; needs the operator's key",
		Long: `Creates a new signing key, signs every account of the folder with it, and then withdraws
the previous signing keys: their signatures become invalid. Use it when the signing key
may have leaked, for routine rotation, and for a folder from an earlier version, which has
no signing key. All credentials remain valid and a running server continues. This is the
only command that needs the operator's key, operator.nk: name the file in its offline
storage.`,
		Example: "  tocsin credential signing-key --operator-key /media/safe/operator.nk",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			public, err := credential.In(*data).ReplaceSigningKey(operator)
			if err == nil {
				fmt.Fprintln(e.Out, public)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&operator, "operator-key", os.Getenv("TOCSIN_OPERATOR_KEY"), "file of the operator's key (or TOCSIN_OPERATOR_KEY; default DATA/identity/operator.nk)")
	return cmd
}
