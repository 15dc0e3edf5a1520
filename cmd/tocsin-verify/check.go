package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
	"github.com/tocsin-project/tocsin/internal/evidence/page"
	"github.com/tocsin-project/tocsin/internal/private"
)

// result is the result of a check, and the output of --json. Its form is stable.
type result struct {
	Result   string            `json:"result"` // holds, fails or unchecked
	File     string            `json:"file"`
	Kind     string            `json:"kind,omitempty"` // proof, receipt, receipts, consistency, checkpoint or export
	Origin   string            `json:"origin,omitempty"`
	Size     uint64            `json:"size"` // number of records that the checkpoint covers
	Root     *evidence.Hash    `json:"root,omitempty"`
	Record   *record           `json:"record,omitempty"`
	Receipt  *evidence.Receipt `json:"receipt,omitempty"`
	Receipts *receiptCounts    `json:"receipts,omitempty"`
	Extends  *tree             `json:"extends,omitempty"`
	Export   *export.Report    `json:"export,omitempty"`
	Proof    string            `json:"proof,omitempty"`  // the file that was written
	Damage   []string          `json:"damage,omitempty"` // changes of transport to the file that do not alter its content
	Error    string            `json:"error,omitempty"`
}

type record struct {
	Record  uint64              `json:"record"`
	Subject string              `json:"subject"`
	Time    string              `json:"time,omitempty"` // header ce-time: by the writer's clock
	Entry   evidence.Hash       `json:"entry"`
	Header  map[string][]string `json:"header"`
	Line    string              `json:"line"`             // the whole record, as in an export
	Signed  *evidence.SignedAct `json:"signed,omitempty"` // by the desk that performed the act
	body    []byte
}

type receiptCounts struct {
	Hold   int     `json:"hold"`
	Faults []fault `json:"faults,omitempty"`
}

// fault is a line that does not hold, or could not be checked.
type fault struct {
	Line   int    `json:"line"`
	Result string `json:"result"`
	Error  string `json:"error"`
}

// tree is an earlier state of the log.
type tree struct {
	Size uint64        `json:"size"`
	Root evidence.Hash `json:"root"`
}

const (
	holds     = "holds"
	fails     = "fails"
	unchecked = "unchecked"
)

func (r *result) code() int {
	switch r.Result {
	case holds:
		return exitHolds
	case fails:
		return exitFails
	}
	return exitUnchecked
}

// uncheckedError is an error of the check itself, not a finding about the file.
type uncheckedError struct{ error }

func (c uncheckedError) Unwrap() error { return c.error }

func (o *options) check() *result {
	r := &result{File: o.file, Result: holds}
	err := o.checkFile(r)
	switch {
	case r.Export != nil && len(r.Export.Findings) > 0:
		r.Result = fails // even if other parts could not be checked
	case r.Export != nil && len(r.Export.Unchecked) > 0 && err == nil, evidence.Inconclusive(err):
		r.Result = unchecked
	case errors.As(err, new(uncheckedError)) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
		r.Result = unchecked
	case err != nil:
		r.Result = fails
	}
	if err != nil {
		r.Error = errorText(err)
	}
	return r
}

func errorText(err error) string { return strings.TrimPrefix(err.Error(), "evidence: ") }

func (o *options) checkFile(r *result) error {
	v, err := readKey(o.key)
	if err != nil {
		return uncheckedError{err}
	}
	if o.identities != "" {
		if v, err = v.WithIdentities(o.identities); err != nil {
			return uncheckedError{fmt.Errorf("--identities: %w", err)}
		}
	}
	kind, text, damage, err := recognise(o.file)
	if err != nil {
		return uncheckedError{err}
	}
	r.Kind, r.Damage = kind, damage
	var old *evidence.Checkpoint
	if o.extends != "" {
		if kind == kindProof || kind == kindReceipt || kind == kindReceipts {
			return uncheckedError{errors.New("--extends: the proof of a record does not show that the log grew from an earlier checkpoint: get a consistency proof")}
		}
		note, err := checkpointIn(o.extends)
		if err != nil {
			return uncheckedError{fmt.Errorf("--extends: %w", err)}
		}
		cp, err := v.Open(note)
		if err != nil {
			return fmt.Errorf("--extends: %s: %w", o.extends, err)
		}
		old = &cp
		r.Extends = &tree{cp.Size, cp.Root}
	}
	if o.record > 0 && kind != kindExport {
		return uncheckedError{fmt.Errorf("--record: %s is not an export", o.file)}
	}
	if o.report != "" && kind == kindReceipts {
		return uncheckedError{fmt.Errorf("--report: %s has several receipts: give the one of this report, in a file of its own", o.file)}
	}
	if o.report != "" && kind != kindReceipt {
		return uncheckedError{fmt.Errorf("--report: %s is not a receipt", o.file)}
	}
	switch kind {
	case kindProof:
		return r.proof(v, text)
	case kindReceipt:
		return o.receipt(r, v, text)
	case kindReceipts:
		return r.receipts(v, text)
	case kindConsistency:
		return r.consistency(v, text, old)
	case kindCheckpoint:
		return r.checkpoint(v, text, old)
	}
	if o.record > 0 {
		return o.proveRecord(r, v)
	}
	return o.export(r, v, old)
}

func (r *result) setCheckpoint(cp evidence.Checkpoint) {
	r.Origin, r.Size, r.Root = cp.Origin, cp.Size, &cp.Root
}

func (r *result) proof(v evidence.Verifier, text string) error {
	p, err := evidence.ParseProof(text)
	if err != nil {
		return err
	}
	cp, err := p.Verify(v)
	if err != nil {
		return err
	}
	r.setCheckpoint(cp)
	r.Record, err = describeRecord(v, p.Record)
	return err
}

// receipt verifies a receipt with the key of the log, and checks that the given report is
// the receipt's.
func (o *options) receipt(r *result, v evidence.Verifier, text string) error {
	receipt, err := v.VerifyReceipt([]byte(text))
	if err != nil {
		return err
	}
	r.Origin, r.Receipt = v.Origin(), &receipt
	if o.report == "" {
		return nil
	}
	raw, err := readFile(o.report)
	if err != nil {
		return uncheckedError{fmt.Errorf("--report: %w", err)}
	}
	raw, _ = export.Restore(raw)
	if err := receipt.CheckEvent(raw); err != nil {
		return fmt.Errorf("%s: %w", o.report, err)
	}
	return nil
}

// receipts verifies each line with the key of the log.
func (r *result) receipts(v evidence.Verifier, text string) error {
	r.Origin, r.Receipts = v.Origin(), new(receiptCounts)
	var worst error
	n := 0
	for line := range strings.Lines(text) {
		n++
		if strings.TrimSpace(line) == "" {
			continue
		}
		_, err := v.VerifyReceipt([]byte(line))
		switch {
		case err == nil:
			r.Receipts.Hold++
			continue
		case !evidence.Inconclusive(err):
			worst = errSomeInvalid
			r.Receipts.Faults = append(r.Receipts.Faults, fault{n, fails, errorText(err)})
		default:
			r.Receipts.Faults = append(r.Receipts.Faults, fault{n, unchecked, errorText(err)})
			if worst == nil {
				worst = uncheckedError{errSomeInvalid}
			}
		}
	}
	if worst != nil {
		return fmt.Errorf("of %d receipts %d hold: %w", r.Receipts.Hold+len(r.Receipts.Faults), r.Receipts.Hold, worst)
	}
	return nil
}

var errSomeInvalid = errors.New("the lines above do not")

func describeRecord(v evidence.Verifier, r evidence.Record) (*record, error) {
	out := &record{Record: r.Sequence, Subject: r.Subject, Entry: r.Entry(), Header: r.Header, Line: string(r.Line()), body: r.Body}
	if out.Header == nil {
		out.Header = map[string][]string{}
	}
	if at := r.Header["ce-time"]; len(at) == 1 {
		out.Time = at[0]
	}
	act, err := v.ActOf(r)
	if act != nil {
		out.Signed = act.Signed
	}
	return out, err
}

func (r *result) consistency(v evidence.Verifier, text string, old *evidence.Checkpoint) error {
	if old == nil {
		return uncheckedError{errors.New("a consistency proof needs --extends OLD, the earlier checkpoint")}
	}
	p, err := evidence.ParseConsistency(text)
	if err != nil {
		return err
	}
	if err := p.Verify(v, *old); err != nil {
		return err
	}
	cp, err := v.Open(p.Checkpoint)
	if err == nil {
		r.setCheckpoint(cp)
	}
	return err
}

func (r *result) checkpoint(v evidence.Verifier, text string, old *evidence.Checkpoint) error {
	cp, err := v.Open(text)
	if err != nil {
		return err
	}
	r.setCheckpoint(cp)
	switch {
	case old == nil, old.Size == cp.Size && old.Root == cp.Root:
		return nil
	case old.Size == cp.Size:
		return forkError(cp, *old)
	}
	return uncheckedError{fmt.Errorf("two checkpoints alone do not show that the log grew from %d records to %d: get a consistency proof (tocsin log prove --since)", old.Size, cp.Size)}
}

// forkError is the gravest finding: one log has signed two different contents of one
// size.
func forkError(cp, old evidence.Checkpoint) error {
	return fmt.Errorf("the log %s has signed two different contents of %d records: %s and %s; keep both checkpoints, they prove it", cp.Origin, cp.Size, old.Root, cp.Root)
}

func (o *options) proveRecord(r *result, v evidence.Verifier) error {
	p, err := export.Prove(o.file, v, o.record)
	if err != nil {
		return err
	}
	cp, err := p.Verify(v)
	if err != nil {
		return err
	}
	r.setCheckpoint(cp)
	if r.Record, err = describeRecord(v, p.Record); err != nil || o.proof == "" {
		return err
	}
	f, err := private.Create(o.proof)
	if err == nil {
		_, err = f.WriteString(p.String())
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return uncheckedError{fmt.Errorf("--proof: %w", err)}
	}
	r.Proof = o.proof
	return nil
}

func (o *options) export(r *result, v evidence.Verifier, old *evidence.Checkpoint) error {
	report, err := page.VerifyExport(context.Background(), o.file, v, o.progress())
	if err != nil {
		return uncheckedError{err}
	}
	r.Export = &report
	cp := report.Checkpoint
	if cp.Origin == "" {
		return nil // a file that cannot be opened is a finding
	}
	r.setCheckpoint(cp)
	switch {
	case old == nil:
		return nil
	case old.Size > cp.Size:
		return uncheckedError{fmt.Errorf("--extends: %s covers %d records, the export only %d: it is the later one", o.extends, old.Size, cp.Size)}
	case old.Size == cp.Size && old.Root != cp.Root:
		return forkError(cp, *old)
	}
	_, err = export.ProveExtends(o.file, v, *old)
	if errors.Is(err, fs.ErrNotExist) {
		return uncheckedError{fmt.Errorf("--extends: the tiles of the export do not reach to record %d: ask for a consistency proof (%w)", old.Size, err)}
	}
	return err
}

// progress shows each percentage once.
func (o *options) progress() func(done, of uint64) {
	if o.terminal == nil {
		return nil
	}
	var shown atomic.Uint64
	return func(done, of uint64) {
		percent := uint64(100)
		if of > 0 {
			percent = done * 100 / of
		}
		if before := shown.Load(); percent > before && shown.CompareAndSwap(before, percent) {
			fmt.Fprintf(o.terminal, "\r%3d %%", percent)
			if done == of {
				fmt.Fprint(o.terminal, "\r     \r")
			}
		}
	}
}
