package app

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tocsin-project/tocsin/internal/printable"
	"github.com/tocsin-project/tocsin/internal/private"
)

// placeFile records where the data folder was first started: on which machine, and as
// which folder. A copy of the folder has it too, but is in another place.
const placeFile = "place"

// machineIDs are the files that may have the id of the machine.
var machineIDs = []string{"/etc/machine-id", "/var/lib/dbus/machine-id"}

// placeOf describes where a folder is. Without a machine id only the folder itself
// identifies the place.
func placeOf(dir string) (string, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	folder := "unknown"
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		folder = fmt.Sprint(stat.Ino)
	}
	machine := "unknown"
	for _, path := range machineIDs {
		if id, err := os.ReadFile(path); err == nil && len(id) > 0 {
			sum := sha256.Sum256(append([]byte("tocsin place\n"), id...)) // the id itself is confidential
			machine = hex.EncodeToString(sum[:8])
			break
		}
	}
	return fmt.Sprintf("machine %s\nfolder %s\n", machine, folder), nil
}

// checkPlace returns a warning if the data folder is a copy or was moved: two servers on
// copies of one folder sign contradicting logs with one key. A folder that was not
// started yet is marked. A restored backup is as good as the original once that is gone,
// so nothing is refused: deleting the mark confirms it.
func checkPlace(dir string) (warning string, err error) {
	now, err := placeOf(dir)
	if err != nil {
		return "", fmt.Errorf("place of the data folder: %w", err)
	}
	path := filepath.Join(dir, placeFile)
	was, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := private.Write(path, []byte(now)); err != nil {
			return "", fmt.Errorf("mark the place of the data folder: %w", err)
		}
		return "", nil
	case err != nil:
		return "", fmt.Errorf("place of the data folder: %w", err)
	case string(was) == now:
		return "", nil
	}
	return fmt.Sprintf("the data folder %s is a copy or was moved (it was started as %s, and is now %s): if the original may still run, stop one of them, because both sign under the same name and key and contradict each other; if the original will never run again, confirm it by deleting %s",
		dir, printable.Line(strings.TrimSpace(string(was))), printable.Line(strings.TrimSpace(now)), path), nil
}

// placeWarnings returns those of the data folder as it is now.
func (a *App) placeWarnings() []string {
	if a.lock == nil {
		return nil
	}
	warning, err := checkPlace(a.cfg.Data)
	if err != nil {
		warning = err.Error()
	}
	if warning == "" {
		return nil
	}
	return []string{warning}
}
