package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/identity"
)

const defaultData = "./tocsin-data"

func (e *environment) initCommand() *cobra.Command {
	var data string
	var valid validity
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Create the server's identity keys",
		Long: `Creates the identity keys of a server in DATA/identity: an operator key, a signing key
that signs all accounts on its behalf, and the administrator's credential. After the
next start the server rejects everybody without a credential, and each role may use
only its own functions: see tocsin credential --help.

Move DATA/identity/operator.nk to offline storage. Only tocsin credential signing-key
needs it, to replace a signing key that may have leaked. Protect DATA/identity/signing.json
and DATA/identity/keys: anybody who has them can create any credential.

A data folder with records from a trial without identities is refused, because the
records would not be found again: use another folder.`,
		Example: "  tocsin init\n  tocsin credential add operator grid-east\n  tocsin serve",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			// A server without accounts keeps its streams in this one.
			if tried, err := fs.Glob(os.DirFS(data), "nats/jetstream/$G/streams/*"); err == nil && len(tried) > 0 {
				return fmt.Errorf("%s was served without identities, and its records would not be found again: give another folder with --data", data)
			}
			folder, now := credential.In(data), clock.System{}.Now()
			if err := credential.Init(folder, now); err != nil {
				return err
			}
			file, err := folder.Add(identity.Identity{Role: identity.Admin, ID: "admin"}, now, valid.period)
			if err != nil {
				return err
			}
			fmt.Fprintf(e.Out, e.Word("init-done"), folder, file)
			fmt.Fprintf(e.ErrOut, e.Word("init-offline"), folder.OperatorKey())
			fmt.Fprintf(e.ErrOut, e.Word("init-next"), data)
			return nil
		},
	}
	cmd.Flags().StringVar(&data, "data", defaultData, "data folder of the server")
	valid.flag(cmd, credentialValid)
	return cmd
}

func (e *environment) credentialCommand() *cobra.Command {
	var data string
	cmd := &cobra.Command{
		Use:   "credential",
		Short: "Manage identities and their credentials: add, list, rotate, revoke",
		Long: `Works on the server's folder DATA/identity, which tocsin init creates. A running server
applies every change within a second.

  operator   reports, and sees its own incidents and what it owes
  desk       watches, acknowledges and acts on its own escalations
  regulator  queries within its level, region and sector
  admin      runs the product: checks, removals, archives

Give the file that add or rotate prints to its holder only. Any NATS client can use it;
the commands take it with --creds or TOCSIN_CREDS. For HTTP use a token (tocsin credential
token), a client certificate (tocsin credential certificate), or a person's login with an
OpenID Connect provider (tocsin credential person).

Credentials expire after one year and tokens after 90 days, unless --expires says
otherwise. list, the commands that use a credential, and a metric of the server warn 30
days before. The credentials of the services do not expire; rotate services and rotate
system replace them while the server runs.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&data, "data", defaultData, "data folder of the server")
	cmd.AddCommand(e.credentialAdd(&data), e.credentialList(&data), e.credentialRotate(&data), e.credentialRevoke(&data), e.credentialToken(&data),
		e.credentialCertificate(&data), e.credentialPerson(&data), e.credentialKey(&data), e.credentialSigningKey(&data), e.credentialTable())
	return cmd
}

const roleArgs = "operator|desk|regulator|admin ID"

func (e *environment) credentialAdd(data *string) *cobra.Command {
	var id identity.Identity
	var valid validity
	cmd := &cobra.Command{
		Use:   "add " + roleArgs,
		Short: "Create a credential",
		Long: `Writes a credential file and prints its name. The id of an operator or a desk is its id
in the register. A regulator needs a level, and below the national level a region; with
a sector it sees only that sector.`,
		Example: "  tocsin credential add operator grid-east\n  tocsin credential add regulator xj-energy --level province --region 650000 --sector energy",
		Args:    command.Args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, a []string) error {
			id.Role, id.ID = identity.Role(a[0]), a[1]
			if id.Role == identity.Desk && len(id.Screens) == 0 {
				id.Screens = []string{identity.DefaultScreen}
			}
			if err := id.Check(); err != nil {
				return &command.UsageError{Err: err}
			}
			return e.printFile(credential.In(*data).Add(id, clock.System{}.Now(), valid.period))
		},
	}
	f := cmd.Flags()
	f.StringVar((*string)(&id.Level), "level", "", "level of a regulator: national, province or prefecture")
	f.StringVar(&id.Region, "region", "", "region of a regulator below the national level: GB/T 2260, such as 650000")
	f.StringVar(&id.Sector, "sector", "", "sector of a regulator that sees one sector only")
	f.StringSliceVar(&id.Screens, "screen", nil, "screen of a desk, as named by desk watch --client; repeatable (default: "+identity.DefaultScreen+")")
	valid.flag(cmd, credentialValid)
	return cmd
}

func (e *environment) credentialKey(data *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the public key that issues credentials",
		Long: `Prints the public nkey at the root of every credential of this folder. Give it to
auditors: with tocsin-verify --identities they verify that the acts of desks were signed
with credentials that this key issued.`,
		Example: "  tocsin credential key\n  tocsin-verify --key log.pub --identities \"$(tocsin credential key)\" export-2026-01",
		Args:    command.Args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			key, err := credential.In(*data).Key()
			if err == nil {
				fmt.Fprintln(e.Out, key)
			}
			return err
		},
	}
	return cmd
}

func (e *environment) printFile(file string, err error) error {
	if err == nil {
		fmt.Fprintln(e.Out, file)
	}
	return err
}

func (e *environment) credentialRotate(data *string) *cobra.Command {
	var valid validity
	var screens []string
	cmd := &cobra.Command{
		Use:   "rotate " + roleArgs + " | services | system",
		Short: "Replace a credential",
		Long: `Writes a new credential file, also after a revocation, and prints its name. The previous
credential becomes invalid and its connections are closed.

rotate services and rotate system replace the credentials of the services and of the NATS
server's system account. A running server continues; a request that is under way may get
no answer and is then sent again. With an external NATS server (serve --nats), give it the
new account: the services then reconnect with the new file.`,
		Example: "  tocsin credential rotate desk protection-energy\n  tocsin credential rotate services",
		Args:    command.Args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, a []string) error {
			folder, now := credential.In(*data), clock.System{}.Now()
			internal := len(a) == 1 && slices.Contains(credential.Internal, a[0])
			switch {
			case internal && (valid.given(cmd) || len(screens) > 0):
				return &command.UsageError{Err: fmt.Errorf("the credential of the %s has no screens, and does not expire", a[0])}
			case internal:
				return e.printFile(folder.RotateInternal(a[0], now))
			case len(a) == 1:
				return &command.UsageError{Err: fmt.Errorf("%q is neither services nor system; of an identity say ROLE and ID", a[0])}
			}
			return e.printFile(folder.Rotate(identity.Role(a[0]), a[1], screens, now, valid.period))
		},
	}
	valid.flag(cmd, credentialValid)
	cmd.Flags().StringSliceVar(&screens, "screen", nil, "screens of a desk from now on; repeatable (default: its present screens)")
	return cmd
}

func (e *environment) credentialRevoke(data *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "revoke " + roleArgs,
		Short: "Revoke a credential",
		Long: `Invalidates the credential and every token. A running server closes the connections of
the identity within a second.`,
		Args: command.Args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, a []string) error {
			if err := credential.In(*data).Revoke(identity.Role(a[0]), a[1], clock.System{}.Now()); err != nil {
				return err
			}
			fmt.Fprintf(e.Out, e.Word("revoked-now"), a[0], a[1])
			return nil
		},
	}
	return cmd
}

// credentialLine is a line of the list. Its JSON form is stable.
type credentialLine struct {
	Role    identity.Role  `json:"role"`
	ID      string         `json:"id"`
	Level   identity.Level `json:"level,omitempty"`
	Region  string         `json:"region,omitempty"`
	Sector  string         `json:"sector,omitempty"`
	Key     string         `json:"key,omitempty"` // public, of the credential in use
	Since   *time.Time     `json:"since,omitempty"`
	Expires *time.Time     `json:"expires,omitempty"`
	Tokens  int            `json:"tokens"`
	// TokensExpire is when the first of its unexpired tokens expires.
	TokensExpire *time.Time `json:"tokensExpire,omitempty"`
	Revoked      *time.Time `json:"revoked,omitempty"`
}

func (e *environment) credentialList(data *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List identities and their credentials",
		Args:  command.Args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			holders, faulty := credential.In(*data).Holders()
			if len(holders) == 0 && faulty != nil {
				return faulty
			}
			now := clock.System{}.Now()
			table := tabwriter.NewWriter(e.Out, 0, 0, 2, ' ', 0)
			if !asJSON {
				fmt.Fprintln(table, e.Word("credentials"))
			}
			for _, h := range holders {
				l := credentialLine{Role: h.Role, ID: h.ID, Level: h.Level, Region: h.Region, Sector: h.Sector, Tokens: len(h.Tokens), Revoked: h.Revoked}
				for _, k := range h.Keys {
					if k.Until == nil {
						l.Key, l.Since, l.Expires = k.Public, &k.From, k.Expires
					}
				}
				l.TokensExpire = h.NextTokenExpiry(now)
				if asJSON {
					if err := e.JSON(l); err != nil {
						return err
					}
					continue
				}
				since, expires := e.Word("revoked"), e.Word("never-expires")
				if l.Revoked == nil && l.Since != nil {
					since = l.Since.Format(time.RFC3339)
				}
				if l.Expires != nil {
					expires = l.Expires.Format(time.RFC3339) + command.ExpiryNote(e.Printer, *l.Expires, now)
				}
				tokens := fmt.Sprint(l.Tokens)
				if l.TokensExpire != nil {
					tokens += command.ExpiryNote(e.Printer, *l.TokensExpire, now)
				}
				level := string(l.Level)
				if level != "" {
					level = e.Word("level-" + level)
				}
				sees := strings.Join(strings.Fields(level+" "+l.Region+" "+l.Sector), " ")
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Word("role-"+string(l.Role)), l.ID, sees, since, expires, tokens, l.Key)
			}
			return errors.Join(table.Flush(), faulty)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	return cmd
}

func (e *environment) credentialToken(data *string) *cobra.Command {
	var valid validity
	var drop bool
	cmd := &cobra.Command{
		Use:   "token " + roleArgs,
		Short: "Create a bearer token for HTTP",
		Long: `Creates a token for an identity that has a credential, and prints it once: only its
SHA-256 is stored. Send it as the header Authorization: Bearer TOKEN. With --void it
invalidates every token of the identity instead.`,
		Args: command.Args(cobra.ExactArgs(2)),
		RunE: func(_ *cobra.Command, a []string) error {
			token, kept := credential.NewToken(clock.System{}.Now(), valid.period)
			err := credential.In(*data).Change(identity.Role(a[0]), a[1], func(h *credential.Holder) error {
				if drop {
					h.Tokens = nil
					return nil
				}
				if len(h.Tokens) >= maxTokens {
					return errors.New("it has " + fmt.Sprint(maxTokens) + " tokens already: --void voids them")
				}
				h.Tokens = append(h.Tokens, kept)
				return nil
			})
			if err == nil && !drop {
				fmt.Fprintln(e.Out, token)
			}
			return err
		},
	}
	valid.flag(cmd, tokenValid)
	cmd.Flags().BoolVar(&drop, "void", false, "invalidate every token of the identity")
	return cmd
}

func (e *environment) credentialCertificate(data *string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certificate " + roleArgs + " FILE",
		Short: "Accept a client certificate of an identity over HTTP",
		Long: `Registers the public key of a certificate (PEM) for an identity. Over HTTP, a client with
this key authenticates as the identity, if the server trusts the authority that signed
the certificate (serve --tls-client-ca). A renewed certificate with the same key remains
valid; revoke and rotate remove the key.`,
		Args: command.Args(cobra.ExactArgs(3)),
		RunE: func(_ *cobra.Command, a []string) error {
			raw, err := os.ReadFile(a[2])
			if err != nil {
				return err
			}
			c, err := credential.NewCert(raw)
			if err != nil {
				return fmt.Errorf("%s: %w", a[2], err)
			}
			err = credential.In(*data).Change(identity.Role(a[0]), a[1], func(h *credential.Holder) error {
				if slices.Contains(h.Certs, c) {
					return fmt.Errorf("%s has this key already", h)
				}
				h.Certs = append(h.Certs, c)
				return nil
			})
			if err == nil {
				fmt.Fprintln(e.Out, c.SPKI)
			}
			return err
		},
	}
	return cmd
}

// maxTokens is enough for a script and its replacement, and a few people.
const maxTokens = 20

func (e *environment) credentialTable() *cobra.Command {
	return &cobra.Command{
		Use:   "table",
		Short: "Print the permission table",
		Args:  command.Args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprint(e.Out, identity.Table())
			return nil
		},
	}
}
