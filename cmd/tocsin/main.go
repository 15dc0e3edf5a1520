// Command tocsin carries reports of cybersecurity incidents at critical
// information infrastructure from their operators to the departments that the
// law names, and keeps a record of who was told what, when.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tocsin-project/tocsin/internal/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
