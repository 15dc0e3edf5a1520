// Command peers measures tocsin beside programs that do the same job: Benthos 4.78.0 (the
// engine of Redpanda Connect) with a JetStream plugin, Watermill 1.5.1 with
// watermill-nats 2.1.3, and bare nats.go, each against the same embedded server with the
// same settings, which syncs every write to disk before it answers.
//
//	go run .                                   about five minutes
//	go run . -budget 0                         five rounds of 50,000 reports each
//	go run . -only tocsin,bare -rounds 1       two of them, once
//	go run . -rounds 1 -overload 1m            and twice the load that tocsin can take
//	go run . -grow 0,1000000,5000000           and tocsin with a large ledger
//
// Contenders and tocsin are built alike, with the settings of the environment.
//
// The driver plays the operators and the three desks. It publishes structured CloudEvents
// of 1 KB, 5 % of them especially grave with three authorities each and 1 % invalid, and
// reads each desk's escalations through a durable consumer, which it acknowledges. Each
// contender runs with its server in a process of its own, so that memory, processor time
// and kill -9 are its own. Both share the machine's processors.
//
// tocsin is the real program, built from this repository, with its own packs, its index
// and its tree. A peer does at least this: it validates a report against the same JSON
// Schema, grades it by a table with the thresholds of the packs, and stores a graded
// record and one for each authority. It keeps no receipt, no citation, no clock and no
// proof.
//
// The results of a load are counted in the streams: the table shows lost and repeated
// records. Repeated deliveries to a desk, which must expect them, are counted separately.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if name := os.Getenv(envChild); name != "" {
		exit(child(name))
	}
	p := plan{progress: os.Stderr}
	var only, grow string
	var asJSON bool
	flag.IntVar(&p.events, "events", 50_000, "reports of a full round, in whole hundreds")
	flag.IntVar(&p.rounds, "rounds", 5, "rounds of each contender; the figure is their median")
	flag.DurationVar(&p.budget, "budget", 5*time.Minute+30*time.Second, "time for it all: rounds after the first are shortened to fit; 0: none is")
	flag.DurationVar(&p.latency, "latency", 2*latencyTurn, "how long latency is measured, in turns; 0: not at all")
	flag.BoolVar(&p.kill, "kill", true, "kill each contender in the middle of a load")
	flag.DurationVar(&p.overload, "overload", 0, "how long tocsin is offered twice what it can take")
	flag.StringVar(&grow, "grow", "", "measure tocsin again with so many records, such as 0,1000000,5000000")
	flag.StringVar(&only, "only", "", "contenders to measure, of engine,tocsin,bare,benthos,watermill (default: all)")
	flag.StringVar(&p.dir, "dir", "", "folder to work in, on the disk to be measured (default: a temporary one)")
	flag.StringVar(&p.tocsin, "tocsin", "", "a tocsin binary to measure (default: built from this repository)")
	flag.BoolVar(&asJSON, "json", false, "print everything that was measured as JSON")
	flag.Parse()
	var err error
	if p.only, err = names(only); err != nil {
		exit(err)
	}
	if p.grow, err = numbers(grow); err != nil {
		exit(err)
	}
	if p.events < hundred || p.events%hundred != 0 || p.rounds < 1 {
		exit(errors.New("-events is in whole hundreds, -rounds at least 1"))
	}
	exit(measure(p, asJSON))
}

func measure(p plan, asJSON bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp(p.dir, "peers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p.dir = dir
	r, err := p.run(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		out := json.NewEncoder(os.Stdout)
		out.SetIndent("", "  ")
		return out.Encode(r)
	}
	return r.print(os.Stdout)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func names(list string) ([]string, error) {
	known := []string{engineName}
	for _, c := range contenders("") {
		known = append(known, c.name)
	}
	out := fields(list)
	for _, name := range out {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("-only: there is no %q, but %v", name, known)
		}
	}
	return out, nil
}

func fields(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func numbers(list string) (out []int, err error) {
	for _, s := range fields(list) {
		n, err := strconv.Atoi(s)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}
