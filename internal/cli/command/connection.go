package command

import (
	"fmt"
	"os"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/cli/render"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// Connection holds the flags of a command that talks to a server.
type Connection struct {
	server   string
	creds    string
	ca       string
	Timeout  time.Duration
	Exercise bool
	JSON     bool           // print JSON
	command  *cobra.Command // has the flags
}

// Flags adds the flags to a command.
func (c *Connection) Flags(cmd *cobra.Command) {
	c.ServerFlags(cmd)
	cmd.Flags().BoolVar(&c.Exercise, "exercise", false, "act in the drill, not on the real record")
}

// ServerFlags adds the flags for a command that sets its realm itself.
func (c *Connection) ServerFlags(cmd *cobra.Command) {
	c.command = cmd
	server := os.Getenv("TOCSIN_SERVER")
	if server == "" {
		server = "nats://127.0.0.1:4222"
	}
	cmd.Flags().StringVar(&c.server, "server", server, "NATS address of the server (or TOCSIN_SERVER)")
	cmd.Flags().StringVar(&c.creds, "creds", os.Getenv("TOCSIN_CREDS"), "credential file that authenticates the caller (or TOCSIN_CREDS)")
	cmd.Flags().StringVar(&c.ca, "tls-ca", os.Getenv("TOCSIN_CA"), "certificate of the authority that signed the server certificate (or TOCSIN_CA)")
	cmd.Flags().BoolVar(&c.JSON, "json", false, "print JSON, one object on each line")
	cmd.Flags().DurationVar(&c.Timeout, "timeout", 30*time.Second, "how long to try, including connecting, before the server counts as unreachable")
}

// Dial connects to the server as the flags say.
func (c *Connection) Dial(options ...nats.Option) (*client.Client, error) {
	if c.Timeout <= 0 {
		return nil, &UsageError{Err: fmt.Errorf("--timeout must be above zero, not %s", c.Timeout)}
	}
	realm := event.Real
	if c.Exercise {
		realm = event.Drill
	}
	var creds []byte
	if c.creds != "" {
		var err error
		if creds, err = os.ReadFile(c.creds); err != nil { // before waiting for the server
			return nil, fmt.Errorf("--creds: %w", err)
		}
		if _, err := nkeys.ParseDecoratedNKey(creds); err != nil {
			return nil, &UsageError{Err: fmt.Errorf("--creds: %s holds no credential: name the .creds file that tocsin credential add wrote", c.creds)}
		}
		p := render.Printer{ErrOut: c.command.ErrOrStderr(), Lang: c.command.Flag("lang").Value.String()}
		warnExpiry(&p, creds)
		options = append(options, nats.UserCredentials(c.creds))
		if app.BeyondLoopback(c.server) { // an attacker in between could claim that the server has no TLS
			options = append(options, nats.Secure())
		}
	}
	if c.ca != "" {
		options = append(options, nats.RootCAs(c.ca))
	}
	conn, err := client.DialContext(c.command.Context(), realm, c.server, c.Timeout, options...)
	if err == nil && c.creds != "" {
		if err := conn.SignWith(creds); err != nil {
			conn.Close()
			return nil, fmt.Errorf("--creds: %w", err)
		}
	}
	return conn, err
}

// warnExpiry warns on standard error that the credential in use expires soon or has
// expired.
func warnExpiry(p *render.Printer, creds []byte) {
	token, err := jwt.ParseDecoratedJWT(creds)
	if err != nil {
		return
	}
	user, err := jwt.DecodeUserClaims(token)
	if err != nil || user.Expires == 0 {
		return
	}
	at := time.Unix(user.Expires, 0)
	if note := ExpiryNote(p, at, clock.System{}.Now()); note != "" {
		fmt.Fprintf(printable.Writer{Out: p.ErrOut}, p.Word("expiry-warning"), user.Name, at.Format(time.RFC3339), note)
	}
}

// ExpiryNote returns a note that something expires soon or has expired, to print beside
// its time.
func ExpiryNote(p *render.Printer, at, now time.Time) string {
	switch left := at.Sub(now); {
	case left <= 0:
		return p.Word("expired")
	case left < credential.ExpiryWarning:
		return fmt.Sprintf(p.Word("expires-in"), int(left/render.Day))
	}
	return ""
}
