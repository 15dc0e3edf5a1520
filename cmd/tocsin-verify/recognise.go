package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/evidence/export"
)

// The kinds of files that can be checked.
const (
	kindProof       = "proof"
	kindReceipt     = "receipt"
	kindReceipts    = "receipts" // one on each line
	kindConsistency = "consistency"
	kindCheckpoint  = "checkpoint"
	kindExport      = "export"
)

// readKey accepts a verifier key, or the name of a file with one.
func readKey(text string) (evidence.Verifier, error) {
	v, err := evidence.NewVerifier(text)
	if err == nil {
		return v, nil
	}
	raw, failed := readFile(text)
	switch {
	case errors.Is(failed, fs.ErrNotExist) && strings.Contains(text, "+"):
		return v, fmt.Errorf("--key: %w", err) // it looks like a key, not a file
	case failed != nil:
		return v, fmt.Errorf("--key: neither a verifier key nor a file: %w", failed)
	}
	restored, _ := export.Restore(raw)
	if v, err = evidence.NewVerifier(string(restored)); err != nil {
		return v, fmt.Errorf("--key: %s: %w", text, err)
	}
	return v, nil
}

// maxFileBytes bounds how much of a proof is read: a record has at most a few MiB.
const maxFileBytes = 1 << 28

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("%s is longer than %d bytes", name, maxFileBytes)
	}
	return content, err
}

// recognise detects the kind of a file from its content. It returns the text without
// the damage of transport.
func recognise(name string) (kind, text string, damage []string, err error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", "", nil, err
	}
	if info.IsDir() {
		for _, file := range []string{"manifest.json", "checkpoint", "records.jsonl"} {
			if _, err := os.Lstat(filepath.Join(name, file)); err == nil {
				return kindExport, "", nil, nil
			}
		}
		return "", "", nil, fmt.Errorf("%s is a folder, and not an export", name)
	}
	raw, err := readFile(name)
	if err != nil {
		return "", "", nil, err
	}
	restored, damage := export.Restore(raw)
	text = string(restored)
	switch first, rest, _ := strings.Cut(text, "\n"); {
	case first == evidence.ProofFormat:
		return kindProof, text, damage, nil
	case first == evidence.ConsistencyFormat:
		return kindConsistency, text, damage, nil
	case evidence.IsReceipt(first) && strings.TrimSpace(rest) != "":
		return kindReceipts, text, damage, nil
	case evidence.IsReceipt(text):
		return kindReceipt, text, damage, nil
	case isNewer(first):
		return "", "", nil, fmt.Errorf("%s has the format %q: %w", name, first, evidence.ErrNewer)
	case strings.Contains(rest, "\n\n— "):
		return kindCheckpoint, text, damage, nil
	}
	return "", "", nil, fmt.Errorf("%s is neither a proof, nor a receipt, nor a signed checkpoint (%w)", name, evidence.ErrMalformed)
}

// isNewer reports whether a first line belongs to a later version of a format.
func isNewer(first string) bool {
	for _, format := range []string{evidence.ProofFormat, evidence.ConsistencyFormat} {
		if strings.HasPrefix(first, strings.TrimRight(format, "0123456789")) && strings.TrimSpace(first) != format {
			return true
		}
	}
	return false
}

// checkpointIn finds the signed checkpoint in any file that contains one.
func checkpointIn(name string) (string, error) {
	kind, text, _, err := recognise(name)
	if err != nil {
		return "", err
	}
	switch kind {
	case kindProof:
		p, err := evidence.ParseProof(text)
		return p.Checkpoint, err
	case kindConsistency:
		p, err := evidence.ParseConsistency(text)
		return p.Checkpoint, err
	case kindExport:
		raw, err := readFile(filepath.Join(name, "checkpoint"))
		restored, _ := export.Restore(raw)
		return string(restored), err
	}
	return text, nil
}
