package export

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tocsin-project/tocsin/internal/evidence"
)

// Records reads the records of an export's range, in order, without verifying anything.
func Records(dir string, yield func(evidence.Record) error) error {
	file, err := os.Open(filepath.Join(dir, recordsFile))
	if err != nil {
		return err
	}
	defer file.Close()
	n := 0
	return chunks(file, func(chunk []byte) error {
		for line := range bytes.Lines(chunk) {
			n++
			r, err := evidence.ParseLine(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				return fmt.Errorf("%s: line %d: %w", file.Name(), n, err)
			}
			if err := yield(r); err != nil {
				return err
			}
		}
		return nil
	})
}
