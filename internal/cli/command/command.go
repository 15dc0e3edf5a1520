// Package command has what the commands share: the flags by which they reach a server,
// how they read their arguments, and the errors that decide the exit code.
package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tocsin-project/tocsin/internal/event"
)

// ErrRefused ends a command whose output has shown what was refused.
var ErrRefused = errors.New("refused")

// UsageError is an invalid command line.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }

// ParseIncident reads OPERATOR/INCIDENT.
func ParseIncident(text string) (operator, incident string, err error) {
	operator, incident, ok := strings.Cut(text, "/")
	if !ok || operator == "" || incident == "" {
		return "", "", &UsageError{Err: fmt.Errorf("%q is not OPERATOR/INCIDENT", text)}
	}
	return operator, incident, nil
}

// Args wraps a check of arguments, so that an invalid command line exits with 2.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return &UsageError{Err: fmt.Errorf("%w\n\n%s", err, cmd.UsageString())}
		}
		return nil
	}
}

// Moment reads a time, or a date as its midnight at +08:00.
func Moment(flag, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return &t, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, event.Beijing)
	if err != nil {
		return nil, fmt.Errorf("%s: %q is neither RFC 3339 nor a date", flag, text)
	}
	return &t, nil
}

// ParseRecordNumber reads the number of a record in the ledger, as receipts show it.
func ParseRecordNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, "#"), 10, 64)
	if err != nil || n == 0 {
		return 0, &UsageError{Err: fmt.Errorf("%q is not the number of a record: receipts and tocsin log show have it", text)}
	}
	return n, nil
}
