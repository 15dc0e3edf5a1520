package export

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// Prove makes the proof of one record of an export, and verifies it, even years
// after the export was made and long after the record was archived. It checks nothing
// else in the folder. The error is fs.ErrNotExist when the record, or a file that is
// needed, is missing.
func Prove(dir string, v evidence.Verifier, sequence uint64) (evidence.Proof, error) {
	var p evidence.Proof
	return p, withExport(dir, v, func(c *check, cp evidence.Checkpoint) error {
		r, err := c.record(sequence)
		if err != nil {
			return err
		}
		if sequence > cp.Size {
			return fmt.Errorf("record %d is not among the %d that the checkpoint covers", sequence, cp.Size)
		}
		path, err := evidence.ProveInclusion(c, cp.Size, sequence-1)
		if err != nil {
			return err
		}
		p = evidence.Proof{Record: r, Path: path, Checkpoint: cp.Note}
		_, err = p.Verify(v)
		return err
	})
}

// ProveExtends proves from the tiles of an export that an earlier checkpoint covers the
// beginning of the export's log, and verifies the proof. The error is fs.ErrNotExist when
// the tiles do not reach that far.
func ProveExtends(dir string, v evidence.Verifier, old evidence.Checkpoint) (evidence.Consistency, error) {
	var p evidence.Consistency
	return p, withExport(dir, v, func(c *check, cp evidence.Checkpoint) error {
		path, err := evidence.ProveConsistency(c, old.Size, cp.Size)
		if err != nil {
			return err
		}
		p = evidence.Consistency{Size: old.Size, Root: old.Root, Path: path, Checkpoint: cp.Note}
		return p.Verify(v, old)
	})
}

// withExport opens a folder for a caller that needs only a part of it.
func withExport(dir string, v evidence.Verifier, use func(c *check, cp evidence.Checkpoint) error) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("evidence: export: %w", err)
	}
	defer root.Close() // only read
	c := &check{root: root}
	if c.files, err = c.inventory(); err != nil {
		return fmt.Errorf("evidence: export: %w", err)
	}
	c.readManifest() // finds files damaged in transport; other faults do not matter here
	note, err := c.readSmall(checkpointFile, checkpointLimit)
	if err != nil {
		return fmt.Errorf("evidence: export: %w", err)
	}
	cp, err := v.Open(string(note))
	if err != nil {
		return err
	}
	if err := use(c, cp); err != nil {
		return fmt.Errorf("evidence: export: %w", err)
	}
	return nil
}

func (c *check) record(sequence uint64) (evidence.Record, error) {
	for _, path := range []string{recordsFile, contextFile} {
		f, err := c.open(path)
		if err != nil {
			return evidence.Record{}, err
		}
		line, err := findLine(f, sequence)
		if err := errors.Join(err, f.Close()); err != nil {
			return evidence.Record{}, fmt.Errorf("%s: %w", path, err)
		}
		if line != nil {
			r, err := evidence.ParseLine(line)
			if err != nil {
				return evidence.Record{}, fmt.Errorf("%s: record %d: %w", path, sequence, err)
			}
			return r, nil
		}
	}
	return evidence.Record{}, absentError(sequence)
}

// absentError is the fs.ErrNotExist of a record that an export lacks.
type absentError uint64

func (a absentError) Error() string {
	return fmt.Sprintf("record %d is not in it: it is outside its range, or was removed", uint64(a))
}

func (absentError) Is(target error) bool { return target == fs.ErrNotExist }

func findLine(file io.Reader, sequence uint64) ([]byte, error) {
	begins := fmt.Appendf(nil, `{"record":%d,`, sequence)
	r := bufio.NewReaderSize(file, chunkSize)
	for {
		head, err := r.Peek(len(begins))
		if len(head) == 0 && err == io.EOF {
			return nil, nil
		}
		if bytes.Equal(head, begins) {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return nil, errors.New("its last line has no end")
			}
			return line[:len(line)-1], nil
		}
		for err = bufio.ErrBufferFull; errors.Is(err, bufio.ErrBufferFull); {
			_, err = r.ReadSlice('\n')
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
	}
}
