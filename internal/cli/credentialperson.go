package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// Limits on the logins of an identity: all its data must fit into its account.
const (
	maxPeople  = 20
	maxSubject = 255 // OpenID Connect Core, section 2
)

func (e *environment) credentialPerson(data *string) *cobra.Command {
	var login credential.Login
	cmd := &cobra.Command{
		Use:   "person " + roleArgs + " --issuer URL --subject SUBJECT",
		Short: "Accept a person's OpenID Connect login over HTTP",
		Long: `Registers a person's login with an OpenID Connect provider for an identity. Over HTTP, the
person then authenticates as the identity, if the server trusts the provider (serve
--oidc-issuer). SUBJECT is the claim "sub" of the person's ID tokens, which never changes;
a name or a mail address may pass to somebody else. A login belongs to one identity;
revoke and rotate remove it.`,
		Example: "  tocsin credential person regulator xj-energy --issuer https://login.example.org --subject 7d0c2a4e",
		Args:    command.Args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, a []string) error {
			if err := app.CheckIssuer(login.Issuer); err != nil {
				return &command.UsageError{Err: fmt.Errorf("--issuer: %w", err)}
			}
			if login.Subject == "" || len(login.Subject) > maxSubject {
				return &command.UsageError{Err: fmt.Errorf("--subject has 1 to %d bytes", maxSubject)}
			}
			err := credential.In(*data).Change(identity.Role(a[0]), a[1], func(h *credential.Holder) error {
				if len(h.People) >= maxPeople {
					return fmt.Errorf("%s has %d logins already", h, maxPeople)
				}
				if slices.Contains(h.People, login) {
					return fmt.Errorf("%s has this login already", h)
				}
				h.People = append(h.People, login)
				return nil
			})
			if err == nil {
				fmt.Fprintf(e.Out, "%s/%s  %q at %s\n", a[0], a[1], login.Subject, login.Issuer)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&login.Issuer, "issuer", "", "URL of the provider: the claim iss of its tokens")
	f.StringVar(&login.Subject, "subject", "", "the person: the claim sub of its tokens")
	return cmd
}
