package app

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/grading"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/schemas"
	"github.com/tocsin-project/tocsin/services/ledger"
)

// LoadPacks reads the packs of a folder, the embedded ones if the name is empty.
func LoadPacks(statutes string) (*statute.Set, error) {
	set, err := statute.Load(packFolder(statutes))
	if err != nil {
		return nil, fmt.Errorf("statute packs: %w", err)
	}
	return set, nil
}

func packFolder(statutes string) fs.FS {
	if statutes == "" {
		return schemas.Statutes
	}
	return os.DirFS(statutes)
}

// LoadRules reads the packs of a folder and a register, the embedded ones if the name is
// empty, and checks the packs against the register. Packs that are law where the register
// has no facility are left out.
func LoadRules(statutes, registerFile string) (grading.Rulebook, error) {
	var rb grading.Rulebook
	set, err := LoadPacks(statutes)
	if err != nil {
		return rb, err
	}
	raw, err := fs.ReadFile(schemas.Registers, "example.yaml")
	name := cmp.Or(registerFile, "the example register")
	if registerFile != "" {
		raw, err = os.ReadFile(registerFile)
	}
	if err != nil {
		return rb, fmt.Errorf("register: %w", err)
	}
	reg, err := register.Decode(raw)
	if err != nil {
		return rb, fault.InFile(name, err)
	}
	set = set.For(reg.Jurisdictions())
	if err := reg.CheckDuties(set); err != nil {
		return rb, fault.InFile(name, err)
	}
	return grading.Rulebook{Statutes: set, Register: reg}, nil
}

// retention returns how long records are kept: as the statutes in force demand, or longer
// if the configuration says so, and never shorter.
func retention(cfg Config) (ledger.Keep, error) {
	keep := ledger.Keep{Months: cfg.Keep}
	if cfg.Rulebook.Statutes == nil {
		return keep, nil
	}
	for _, r := range cfg.Rulebook.Statutes.Retentions(clock.System{}.Now(), cfg.Rulebook.Register.Facilities()) {
		article := fmt.Sprintf("%s: at least %s", r.Rule.Citation, r.Rule.Keep)
		if r.Rule.Confidence != event.ConfidenceText {
			article += fmt.Sprintf(" [%s]", r.Rule.Confidence)
		}
		if cfg.Keep > 0 && cfg.Keep < r.Rule.Keep {
			return keep, fmt.Errorf("records cannot be kept for %s only: %s", cfg.Keep, article)
		}
		keep.Months = max(keep.Months, r.Rule.Keep)
		keep.Articles = append(keep.Articles, article)
	}
	return keep, nil
}

// recordRules writes the packs and the register in force into the ledger, if they are
// new, before anything is decided by them, so that a decision of three years ago can be
// reproduced.
func recordRules(ctx context.Context, b *bus.Bus, c clock.Clock, rb grading.Rulebook) error {
	var records []event.Record
	add := func(sha, kind, id string, raw []byte) error {
		r, err := event.NewRecord(event.RulesSubject(sha), c.Now(), "", event.RulesBody{Kind: kind, ID: id, SHA256: sha, Text: string(raw)})
		records = append(records, r)
		return err
	}
	for _, p := range rb.Statutes.Packs() {
		if !p.Decides() {
			continue
		}
		if err := add(p.SHA256, "statute", p.ID, p.Raw); err != nil {
			return err
		}
	}
	for _, c := range rb.Statutes.Calendars() {
		if err := add(c.SHA256, "calendar", c.ID, c.Raw); err != nil {
			return err
		}
	}
	if err := add(rb.Register.SHA256, "register", "register", rb.Register.Raw); err != nil {
		return err
	}
	if _, err := b.Commit(ctx, records); err != nil {
		return fmt.Errorf("record the rules in force: %w", err)
	}
	return nil
}
