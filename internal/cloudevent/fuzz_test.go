package cloudevent

import (
	"bytes"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-project/tocsin/internal/document"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// checkOutcome checks the properties of any result: an event whose record decodes to
// itself, or faults that each have a path and a message.
func checkOutcome(t *testing.T, e *Event, err error) {
	t.Helper()
	if err != nil {
		details := fault.DetailsOf(err)
		if len(details) == 0 || fault.KindOf(err) != fault.Reject {
			t.Fatalf("no faults in %v", err)
		}
		for _, d := range details {
			if !strings.HasPrefix(d.Path, "$") || d.Message == "" {
				t.Fatalf("bad fault %q", d)
			}
		}
		return
	}
	again, err := Parse(e.Raw)
	if err != nil {
		t.Fatalf("record does not read back: %v: %s", err, e.Raw)
	}
	if again.Digest != e.Digest || again.ID != e.ID || again.Subject != e.Subject || !again.Time.Equal(e.Time) {
		t.Fatalf("record reads back as %+v, not %+v", again, e)
	}
	if digest, err := evidence.CanonicalDigest(e.Data); err != nil || digest != e.Digest {
		t.Fatalf("digest %s, reference has %s, %v", e.Digest, digest, err)
	}
	if _, err := json.Marshal(e.Report); err != nil {
		t.Fatalf("report cannot be written: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fullEvent))
	f.Add([]byte(withData(minimalData)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := Parse(raw)
		checkOutcome(t, e, err)
		if err != nil {
			return
		}
		back, err := FromNATS(toNATS(e))
		if err != nil && !strings.Contains(err.Error(), "at most") {
			t.Fatalf("binary form is refused: %v: %s", err, e.Raw)
		}
		if err == nil && back.Digest != e.Digest {
			t.Fatalf("digest changes in binary form")
		}
	})
}

// FuzzWalk compares the walker with encoding/json, and requires a digest of all that it
// takes.
func FuzzWalk(f *testing.F) {
	f.Add([]byte(fullData))
	f.Add([]byte(`{"\u20ac":1e21,"\ud83d\ude00":-0,"\ufb33":[1.5E-7,"\u000f\n"]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var found document.Faults
		w := document.Walk(raw, "$", 0, &found)
		tree := w.Read()
		if found.Any() {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("encoding/json refuses %q", raw)
		}
		var want any
		if err := json.Unmarshal(raw, &want); err != nil || !reflect.DeepEqual(want, tree.Tree()) {
			t.Fatalf("%q is %v, %v", raw, want, err)
		}
		digest, err := evidence.CanonicalDigest(raw)
		again, _ := json.Marshal(want)
		if other, otherErr := evidence.CanonicalDigest(again); err != nil || otherErr != nil || digest != other {
			t.Fatalf("%q has the digest %s, %v; formatted otherwise, %s, %v", raw, digest, err, other, otherErr)
		}
	})
}

// parseHeader reads "Name: value" lines as a map of headers.
func parseHeader(text string) map[string][]string {
	h := make(map[string][]string)
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		h[name] = append(h[name], value)
	}
	return h
}

const fuzzHeader = "ce-specversion: 1.0\nce-id: r-1\nce-source: urn:tocsin:operator:grid-east\nce-type: tocsin.report.initial.v1\nce-subject: %E4%BA%8B\n"

func FuzzFromNATS(f *testing.F) {
	f.Add(fuzzHeader, []byte(minimalData))
	f.Add("Content-Type: application/cloudevents+json\n", []byte(fullEvent))
	f.Fuzz(func(t *testing.T, header string, payload []byte) {
		e, err := FromNATS(parseHeader(header), payload)
		checkOutcome(t, e, err)
	})
}

func FuzzFromHTTP(f *testing.F) {
	f.Add(fuzzHeader+"Content-Type: application/json\n", []byte(minimalData))
	f.Add("Content-Type: application/cloudevents-batch+json\n", []byte("["+fullEvent+",{}]"))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		reports, err := FromHTTP(http.Header(parseHeader(header)), body)
		if err != nil {
			checkOutcome(t, nil, err)
			return
		}
		for i := range reports.Len() {
			e := reports.Parse(i)
			checkOutcome(t, e.Event, e.Err)
		}
	})
}

func withoutSpace(b []byte) []byte {
	return slices.DeleteFunc(bytes.Clone(b), func(c byte) bool { return strings.IndexByte(document.Space, c) >= 0 })
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("[" + fullEvent + ", {}]\n{\"a\": \"}\"}\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var whole [][]byte
		var all []byte
		err := Split(bytes.NewReader(in), func(raw []byte) error {
			if !bytes.Contains(in, raw) || len(raw) == 0 {
				t.Fatalf("%q is not a part of the input", raw)
			}
			all = append(all, raw...)
			if json.Valid(raw) {
				whole = append(whole, raw)
			}
			return nil
		})
		// Outside arrays, no byte but space gets lost.
		if dense := withoutSpace(bytes.TrimPrefix(in, []byte("\uFEFF"))); bytes.IndexByte(in, '[') < 0 && !document.IsUTF16(in) && (err != nil || !bytes.Equal(dense, withoutSpace(all))) {
			t.Fatalf("%q is split into %q, %v", in, all, err)
		}
		if len(whole) == 0 {
			return
		}
		list := slices.Concat([]byte("["), bytes.Join(whole, []byte(",")), []byte("]"))
		var again [][]byte
		err = Split(bytes.NewReader(list), func(raw []byte) error { again = append(again, raw); return nil })
		if err != nil || !slices.EqualFunc(whole, again, bytes.Equal) {
			t.Fatalf("%q as one array splits into %q, %v", whole, again, err)
		}
	})
}
