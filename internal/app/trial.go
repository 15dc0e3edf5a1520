package app

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"github.com/tocsin-project/tocsin/internal/grading"
	"github.com/tocsin-project/tocsin/internal/statute"
)

// LoadTrial reads the rules as LoadRules does, and the same with a pack that may not be in
// force yet: a file, which replaces the pack of its id or is added, or a folder, which
// replaces them all. In the second rulebook every pack that differs is in force at any
// time.
func LoadTrial(statutes, registerFile, pack string) (now, trial grading.Rulebook, err error) {
	if now, err = LoadRules(statutes, registerFile); err != nil {
		return now, trial, err
	}
	set, err := trialPacks(statutes, pack)
	if err != nil {
		return now, trial, fmt.Errorf("%s: %w", pack, err)
	}
	set = set.For(now.Register.Jurisdictions())
	changed := set.ChangedFrom(now.Statutes)
	if len(changed) == 0 && len(set.Packs()) == len(now.Statutes.Packs()) {
		return now, trial, fmt.Errorf("%s: nothing in it differs from the packs in force", pack)
	}
	if err := now.Register.CheckDuties(set); err != nil {
		return now, trial, err
	}
	return now, grading.Rulebook{Statutes: set.AlwaysInForce(changed), Register: now.Register}, nil
}

func trialPacks(statutes, pack string) (*statute.Set, error) {
	info, err := os.Stat(pack)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return LoadPacks(pack)
	}
	raw, err := os.ReadFile(pack)
	if err != nil {
		return nil, err
	}
	p, err := statute.Decode(raw)
	if err != nil {
		return nil, err
	}
	return statute.Load(withFile{packFolder(statutes), p.ID + ".yaml", raw})
}

// withFile is a folder with one more file at its root, or another content of one.
type withFile struct {
	fs.FS
	name string
	raw  []byte
}

// Glob returns the added file among those of the folder that match.
func (f withFile) Glob(pattern string) ([]string, error) {
	names, err := fs.Glob(f.FS, pattern)
	if err != nil {
		return nil, err
	}
	if matches, err := path.Match(pattern, f.name); err != nil || !matches || slices.Contains(names, f.name) {
		return names, err
	}
	return append(names, f.name), nil
}

// ReadFile returns the content of the added file, or that of one of the folder.
func (f withFile) ReadFile(name string) ([]byte, error) {
	if name == f.name {
		return slices.Clone(f.raw), nil
	}
	return fs.ReadFile(f.FS, name)
}
