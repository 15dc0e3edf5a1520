package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tocsin-project/tocsin/internal/private"
)

// lockFolder locks the data folder until the file is closed or the process ends: two
// servers on one store would destroy it.
func lockFolder(dir string) (*os.File, error) {
	if err := private.MakeFolder(dir); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	f, err := private.Lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("the data folder %s is in use by another tocsin", dir)
	}
	return nil, fmt.Errorf("lock the data folder: %w", err)
}
