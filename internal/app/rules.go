package app

import (
	"context"
	"fmt"
	"io/fs"
	"os"

	"github.com/tocsin-project/tocsin/internal/bus"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/register"
	"github.com/tocsin-project/tocsin/internal/statute"
	"github.com/tocsin-project/tocsin/schemas"
	"github.com/tocsin-project/tocsin/services/classifier"
)

// LoadRules reads the packs of a folder and a register, each the embedded ones
// where the name is empty, and holds the one against the other.
func LoadRules(statutes, registerFile string) (classifier.Rulebook, error) {
	var rb classifier.Rulebook
	var packs fs.FS = schemas.Statutes
	if statutes != "" {
		packs = os.DirFS(statutes)
	}
	set, err := statute.Load(packs)
	if err != nil {
		return rb, fmt.Errorf("statute packs: %w", err)
	}
	raw, err := fs.ReadFile(schemas.Registers, "example.yaml")
	if registerFile != "" {
		raw, err = os.ReadFile(registerFile)
	}
	if err != nil {
		return rb, fmt.Errorf("register: %w", err)
	}
	reg, err := register.Decode(raw)
	if err != nil {
		return rb, err
	}
	if err := reg.CheckDuties(set); err != nil {
		return rb, err
	}
	return classifier.Rulebook{Statutes: set, Register: reg}, nil
}

// recordRules writes the packs and the register in force into the ledger, when
// they are new, before anything is decided by them: a decision of three years
// ago can be made again.
func recordRules(ctx context.Context, b *bus.Bus, c clock.Clock, rb classifier.Rulebook) error {
	var records []event.Record
	add := func(sha, kind, id string, raw []byte) error {
		r, err := event.NewRecord(event.RulesSubject(sha), c.Now(), "", event.RulesBody{Kind: kind, ID: id, SHA256: sha, Text: string(raw)})
		records = append(records, r)
		return err
	}
	for _, p := range rb.Statutes.Packs() {
		if err := add(p.SHA256, "statute", p.ID, p.Raw); err != nil {
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
