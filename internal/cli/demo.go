package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/spf13/cobra"
	"go.uber.org/zap/zapcore"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/app"
	"github.com/tocsin-project/tocsin/internal/cli/command"
	"github.com/tocsin-project/tocsin/internal/client"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
)

func (e *environment) demoCommand() *cobra.Command {
	var cfg app.Config
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run a demonstration: a server, a few incidents, and the desks they reach",
		Long: `Runs the server with the example register, reports incidents of all four grades, shows
which desks are told and why, shows a grade that rises as time passes, and serves until it
is interrupted. Data goes to a new temporary folder unless --data is given.`,
		Args: command.Args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cfg.Data == "" {
				dir, err := os.MkdirTemp("", "tocsin-demo-")
				if err != nil {
					return err
				}
				defer os.RemoveAll(dir) // a temporary folder
				cfg.Data = filepath.Join(dir, "data")
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			return e.serve(ctx, cfg, command.Rules{}, e.logger(zapcore.WarnLevel), func(a *app.App) error {
				if err := e.demo(ctx, a); err != nil {
					return err
				}
				if once {
					cancel()
				}
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Data, "data", "", "data folder (default: a new temporary one)")
	f.StringVar(&cfg.NATSListen, "nats-listen", "127.0.0.1:4222", "HOST:PORT of the embedded NATS server; port 0 chooses one")
	f.StringVar(&cfg.HTTPListen, "http-listen", "127.0.0.1:8080", "HOST:PORT of the HTTP server; port 0 chooses one")
	f.BoolVar(&once, "once", false, "exit after the demonstration, instead of serving")
	return cmd
}

// demoReports are one incident of each grade, and later reports on two of them: one is
// raised, one falls. The outage of the clearing system reaches its first hour shortly
// after it is reported, and then rises to major.
func demoReports(now time.Time) []demoReport {
	ago := func(minutes int) string {
		return now.Add(-time.Duration(minutes) * time.Minute).Format(time.RFC3339Nano)
	}
	almostAnHour := now.Add(demoRises - time.Hour).Format(time.RFC3339Nano)
	return []demoReport{
		{"city-clinic", "demo-general", event.TypeInitial, `{"facilities":["records"],"discoveredAt":"` + ago(20) + `",
			"title":"病历查询接口返回他人记录","kind":"data-security","containsNoStateSecrets":true,
			"facts":{"personalInformationPersons":1200}}`},
		{"grid-east", "demo-relatively-large", event.TypeInitial, `{"facilities":["office-portal"],"discoveredAt":"` + ago(45) + `",
			"title":"办公门户遭勒索软件加密","kind":"malware","containsNoStateSecrets":true,
			"facts":{"directLoss":{"amount":6000000,"currency":"CNY"}}}`},
		{"metro-pay", "demo-outage", event.TypeInitial, `{"facilities":["clearing"],"discoveredAt":"` + ago(25) + `",
			"title":"清算系统整体中断，尚未恢复","kind":"facility-fault","containsNoStateSecrets":true,
			"facts":{"outage":[{"facility":"clearing","scope":"overall","since":"` + almostAnHour + `"}]}}`},
		{"xj-hydro", "demo-especially-grave", event.TypeInitial, `{"facilities":["station-3"],"discoveredAt":"` + ago(10) + `",
			"title":"三号水电站停供，影响千万用户","kind":"network-attack","containsNoStateSecrets":true,
			"facts":{"peopleAffected":{"atLeast":10000000}}}`},
		{"grid-east", "demo-relatively-large", event.TypeProgress, `{"containsNoStateSecrets":true,
			"facts":{"directLoss":{"amount":21000000,"currency":"CNY"}}}`},
		{"xj-hydro", "demo-especially-grave", event.TypeProgress, `{"containsNoStateSecrets":true,
			"facts":{"peopleAffected":84000}}`},
	}
}

// demoRises is how long after the start of the demo its outage reaches an hour.
const demoRises = 4 * time.Second

type demoReport struct{ operator, incident, kind, data string }

// event renders the report as an operator's system would: as a CloudEvent.
func (d demoReport) event(id string, at time.Time) ([]byte, error) {
	e := cloudevents.New()
	e.SetID(id)
	e.SetSource(event.SourceOf(d.operator))
	e.SetType(d.kind)
	e.SetSubject(d.incident)
	e.SetTime(at)
	if err := e.SetData("application/json", json.RawMessage(d.data)); err != nil {
		return nil, err
	}
	return e.MarshalJSON()
}

func (e *environment) demo(ctx context.Context, a *app.App) error {
	c, err := client.Dial(a.NATSAddr(), 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	now := clock.System{}.Now()
	var last uint64
	reports := demoReports(now)
	for i, d := range reports {
		raw, err := d.event(fmt.Sprintf("demo-%d-%d", now.Unix(), i+1), now.Add(time.Duration(i)*time.Millisecond))
		if err != nil {
			return err
		}
		fmt.Fprintln(e.Out)
		r, err := c.Report(ctx, d.operator, raw)
		if err != nil {
			return err
		}
		e.Receipt(r)
		made := func(g event.Graded) bool { return g.Cause.Record == r.Record }
		if last, err = e.demoFollow(ctx, c, d, made, last); err != nil {
			return err
		}
	}
	if err := e.demoAcknowledge(ctx, c); err != nil {
		return err
	}
	fmt.Fprintf(e.Out, "\n%s\n", e.Word("waiting"))
	rose := func(g event.Graded) bool { return g.Grade == event.Major }
	if _, err := e.demoFollow(ctx, c, reports[2], rose, last); err != nil {
		return err
	}
	fmt.Fprintf(e.Out, `
Serving on. In another terminal (with --server %s where it is not the default):
  tocsin log show metro-pay/demo-outage
  tocsin log query --grade especially-grave
  tocsin desk watch national-cyberspace
  tocsin desk handover protection-finance
  tocsin owed metro-pay
  tocsin statute list
`, a.NATSAddr())
	return nil
}

// demoFollow waits for the revision that meant accepts and shows it, with the desks that
// were told.
func (e *environment) demoFollow(ctx context.Context, c *client.Client, d demoReport, meant func(event.Graded) bool, after uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	want := -1 // number of escalations, once the revision is known
	for {
		got := 0
		var entries []api.StoryEntry
		err := c.Show(ctx, d.operator, d.incident, func(s api.StoryEntry) error {
			if s.Record <= after {
				return nil
			}
			entries = append(entries, s)
			switch s.Type {
			case event.KindGraded:
				var g event.Graded
				if err := json.Unmarshal(s.Body, &g); err != nil {
					return err
				}
				if meant(g) {
					want = len(g.Escalations)
				}
			case event.KindEscalated:
				got++
			}
			return nil
		})
		if err != nil {
			return after, err
		}
		if want >= 0 && got >= want {
			for _, s := range entries {
				if err := e.Story(s); err != nil {
					return after, err
				}
				after = s.Record
			}
			return after, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return after, fmt.Errorf("the reports of %s have not reached every desk: %w", d.incident, ctx.Err())
		}
	}
}

func (e *environment) demoAcknowledge(ctx context.Context, c *client.Client) error {
	fmt.Fprintln(e.Out)
	const desk = "protection-finance"
	var open string
	_, err := c.Query(ctx, api.Query{Desk: desk, Unacknowledged: true}, 1, func(r api.EscalationRow) error {
		open = r.Escalation
		return nil
	})
	if err != nil || open == "" {
		return err
	}
	answer, err := c.Acknowledge(ctx, desk, open, "duty-officer")
	if err != nil {
		return err
	}
	return e.acknowledgement(answer, false)
}
