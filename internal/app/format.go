package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tocsin-project/tocsin/internal/private"
)

// dataFormat is the format of the data folder that this program writes. It increases when
// an older program would misread or overwrite what a newer one has written.
const dataFormat = 1

// formatFile has it, in the data folder.
const formatFile = "format"

// checkFormat refuses a data folder that a newer program has written, before anything in
// it is opened, and marks one without a mark, which is new or older than the mark.
func checkFormat(dir string) error {
	path := filepath.Join(dir, formatFile)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := private.Write(path, []byte(strconv.Itoa(dataFormat)+"\n")); err != nil {
			return fmt.Errorf("mark the format of the data folder: %w", err)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("format of the data folder: %w", err)
	}
	format, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	switch {
	case err != nil || format < 1:
		return fmt.Errorf("%s does not hold the number of a format: put the file back from a copy of the data folder; this program writes format %d", path, dataFormat)
	case format > dataFormat:
		return fmt.Errorf("the data in %s has format %d, and this program knows formats up to %d: start a newer tocsin, or put back a copy of the folder from before the upgrade; nothing was changed", dir, format, dataFormat)
	}
	return nil
}
