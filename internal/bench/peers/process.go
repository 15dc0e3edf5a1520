package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a running contender, with its server, in a process of its own, so that its
// memory, its processor time and its death are measured separately.
type process struct {
	cmd    *exec.Cmd
	listen string
	took   time.Duration // from start to ready
	out    bytes.Buffer  // standard output, complete once it has ended
	mu     sync.Mutex
	said   []string // its last lines of output
	ended  chan struct{}
	err    error // of the process, once it has ended
}

// startWait is how long a contender may take until it accepts reports; with millions of
// records in its folder it reads for a while.
const startWait = 10 * time.Minute

const linesKept = 30

// start runs a command until it reports that it is ready.
func start(ctx context.Context, cmd *exec.Cmd, listen string) (*process, error) {
	p := &process{cmd: cmd, listen: listen, ended: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stdout = &p.out
	lines, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	began := machine.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go func() {
		defer close(p.ended)
		p.follow(lines, ready)
		p.err = cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(ctx, startWait)
	defer cancel()
	select {
	case <-ready:
		p.took = machine.Now().Sub(began)
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("%s ended before it was ready: %w\n%s", cmd.Path, p.err, p.lines())
	case <-ctx.Done():
		p.kill()
		return nil, fmt.Errorf("%s was not ready: %w\n%s", cmd.Path, ctx.Err(), p.lines())
	}
}

func (p *process) follow(lines io.Reader, ready chan<- struct{}) {
	in := bufio.NewScanner(lines)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		if in.Text() == readyLine && ready != nil {
			close(ready)
			ready = nil
			continue
		}
		p.mu.Lock()
		p.said = append(p.said[max(0, len(p.said)-linesKept):], in.Text())
		p.mu.Unlock()
	}
}

func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

func (p *process) lines() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said, "\n")
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // fails only where it has ended
	<-p.ended
}

// stopWait is how long a contender may take to end on SIGTERM.
const stopWait = 20 * time.Second

// stop ends the process and returns its output in the error if it failed.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
	case <-time.After(stopWait):
		p.kill()
		return fmt.Errorf("%s did not end within %v\n%s", p.cmd.Path, stopWait, p.lines())
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", p.cmd.Path, p.err, p.lines())
	}
	return nil
}

// usage is what a contender has used since its start.
type usage struct {
	CPU    float64 `json:"cpuSeconds"`
	Memory float64 `json:"memoryMB"` // peak resident memory
}

// ticks are the units of processor time in /proc: USER_HZ, 100 on every Linux.
const ticks = 100

func (p *process) usage() (u usage, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return u, err
	}
	for line := range strings.Lines(string(status)) {
		if kB, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseFloat(strings.Fields(kB)[0], 64)
			if err != nil {
				return u, err
			}
			u.Memory = n * 1024 / 1e6
		}
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return u, err
	}
	// proc(5): utime and stime are fields 14 and 15; the field before the closing bracket
	// may contain spaces.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, f := range fields[11:13] {
		n, err := strconv.ParseFloat(f, 64)
		if err != nil {
			return u, err
		}
		u.CPU += n / ticks
	}
	return u, nil
}

// freePort returns an address that nobody listens on. A restarted contender uses the same
// one.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
