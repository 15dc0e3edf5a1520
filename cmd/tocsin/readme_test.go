package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// step is one command of the README with what it says is printed.
type step struct{ command, want string }

// tourSteps reads the blocks marked console: "$ " begins a command, which goes
// on over a here-document; the other lines are its output.
func tourSteps(readme string) []step {
	var steps []step
	for _, block := range regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(readme, -1) {
		inHere := false
		for line := range strings.Lines(block[1]) {
			last := len(steps) - 1
			switch {
			case inHere:
				steps[last].command += line
				inHere = strings.TrimSpace(line) != "END"
			case strings.HasPrefix(line, "$ "):
				steps = append(steps, step{command: line[2:]})
				inHere = strings.Contains(line, "<<'END'")
			default:
				steps[last].want += line
			}
		}
	}
	return steps
}

var (
	aTime     = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+08:00`)
	aHash     = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
	anInstant = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`)
	aRoot     = regexp.MustCompile(`[A-Za-z0-9+/]{43}=`) // root or entry
	aLogName  = regexp.MustCompile(`tocsin\.invalid/[0-9a-f]{8}`)
	// How late the tour's report is depends on when the tour is made.
	aLength = regexp.MustCompile(`\b(P\d+DT[0-9HMS.]+|\d+d(\d+h)?|P\d+D)\b`)
)

// settle makes two runs comparable: times, hashes, lengths of time and the name
// of the log differ.
func settle(s string) string {
	for _, differs := range []struct {
		what *regexp.Regexp
		as   string
	}{{aTime, "TIME"}, {anInstant, "TIME"}, {aRoot, "ROOT"}, {aLogName, "LOG"}, {aHash, "HASH"}, {aLength, "LENGTH"}} {
		s = differs.what.ReplaceAllString(s, differs.as)
	}
	return s
}

// TestReadmeTour runs the tour of the README as it stands there.
func TestReadmeTour(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	require.NoError(t, err)
	steps := tourSteps(string(readme))
	require.NotEmpty(t, steps)
	s := startServer(t)
	exe, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	verify := exec.Command("go", "build", "-o", filepath.Join(dir, "tocsin-verify"), "../tocsin-verify")
	built, err := verify.CombinedOutput()
	require.NoError(t, err, string(built))
	script := fmt.Sprintf("#!/bin/sh\nTOCSIN_CHILD=1 TOCSIN_SERVER=%s exec %q --lang en \"$@\"\n", s.url(), exe)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tocsin"), []byte(script), 0o700))
	sh := func(command string) string {
		cmd := exec.Command("sh", "-c", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if _, exited := err.(*exec.ExitError); err != nil && !exited {
			require.NoError(t, err)
		}
		return settle(string(out))
	}
	for _, step := range steps {
		want, got := settle(step.want), sh(step.command)
		// A question may come before the desks are told: that takes milliseconds.
		for deadline := time.Now().Add(time.Minute); got != want && strings.HasPrefix(step.command, "tocsin log ") && time.Now().Before(deadline); {
			time.Sleep(50 * time.Millisecond)
			got = sh(step.command)
		}
		require.Equal(t, want, got, "README: $ %s", step.command)
	}
}
