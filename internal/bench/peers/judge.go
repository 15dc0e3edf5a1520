package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/schemas"
)

// judge is what every peer does with a report: validate it against tocsin's own JSON
// Schema, grade it by a table and derive its records. All peers share this code, so that
// they differ only in how they carry reports.
type judge struct{ initial *jsonschema.Schema }

const schemaBase = "https://tocsin-project.github.io/schemas/report/"

func newJudge() (*judge, error) {
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	names, err := fs.Glob(schemas.Reports, "*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		raw, err := fs.ReadFile(schemas.Reports, name)
		if err != nil {
			return nil, err
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		if err := c.AddResource(schemaBase+name, doc); err != nil {
			return nil, err
		}
	}
	initial, err := c.Compile(schemaBase + "initial.v1.json")
	return &judge{initial}, err
}

// table has the thresholds of tocsin's packs for the facts that are numbers.
var table = []struct {
	fact    string
	atLeast int64
	grade   event.Grade
}{
	{"peopleAffected", 10_000_000, event.EspeciallyGrave},
	{"personalInformationPersons", 100_000_000, event.EspeciallyGrave},
	{"peopleAffected", 1_000_000, event.Major},
	{"personalInformationPersons", 10_000_000, event.Major},
	{"peopleAffected", 100_000, event.RelativelyLarge},
	{"personalInformationPersons", 1_000_000, event.RelativelyLarge},
}

// output is a record derived from a report. Its subject depends on the report alone, so
// that a repeat has the same one.
type output struct {
	subject string
	data    []byte
}

type envelope struct {
	SpecVersion string          `json:"specversion"`
	Type        string          `json:"type"`
	Source      string          `json:"source"`
	ID          string          `json:"id"`
	Subject     string          `json:"subject"`
	Data        json.RawMessage `json:"data"`
}

// records returns the records of a report: a refusal, or its grade and, where that is
// especially grave, an escalation for each authority. Each contains the report.
func (j *judge) records(raw []byte) ([]output, error) {
	var e envelope
	grade, err := event.Ungraded, json.Unmarshal(raw, &e)
	if err == nil {
		grade, err = j.grade(&e)
	}
	who := event.OperatorOfSource(e.Source)
	if err != nil {
		digest := sha256.Sum256(raw)
		body, err := json.Marshal(map[string]any{"operator": who, "error": err.Error(), "payload": raw})
		return []output{{event.RejectedSubject(who, hex.EncodeToString(digest[:])), body}}, err
	}
	told := []string{""} // the graded record first
	if grade == event.EspeciallyGrave {
		told = append(told, desks...)
	}
	out := make([]output, len(told))
	for i, desk := range told {
		subject := event.GradedSubject(who, e.Subject, 1)
		if desk != "" {
			subject = event.EscalatedSubject(desk, who, e.Subject, "1")
		}
		// The inserted values are tokens and JSON that has been parsed.
		out[i] = output{subject, fmt.Appendf(nil,
			`{"specversion":"1.0","type":"bench.told.v1","source":%q,"id":%q,"subject":%q,"data":{"grade":%q,"desk":%q,"report":%s}}`,
			e.Source, subject, e.Subject, grade, desk, raw)}
	}
	return out, nil
}

func (j *judge) grade(e *envelope) (event.Grade, error) {
	if e.SpecVersion != "1.0" || e.ID == "" || e.Source == "" || e.Subject == "" || e.Type != event.TypeInitial {
		return event.Ungraded, errors.New("is not a first report as a CloudEvent 1.0")
	}
	data, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.Data))
	if err != nil {
		return event.Ungraded, err
	}
	if err := j.initial.Validate(data); err != nil {
		return event.Ungraded, fmt.Errorf("data: %w", err)
	}
	report, _ := data.(map[string]any)
	facts, _ := report["facts"].(map[string]any)
	for _, row := range table {
		if n, ok := facts[row.fact].(json.Number); ok {
			if v, err := n.Int64(); err == nil && v >= row.atLeast {
				return row.grade, nil
			}
		}
	}
	return event.General, nil
}
