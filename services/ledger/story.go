package ledger

import (
	"context"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/services/ledger/index"
)

// storyPart is how many records of a story are read at once; a page is full at index.PageBytes,
// and records read beyond that are read again for the next page.
const storyPart = 50

// story reads the next part of an incident's story.
func (l *Ledger) story(ctx context.Context, req api.ShowRequest) (api.ShowAnswer, error) {
	if req.Operator == "" || req.Incident == "" {
		return api.ShowAnswer{}, fault.Invalid(Name, []fault.Detail{{Path: "$", Message: "must name an operator and an incident"}})
	}
	x, through, err := l.caughtUp(ctx)
	if err != nil {
		return api.ShowAnswer{}, err
	}
	answer := api.ShowAnswer{Through: through, Entries: []api.StoryEntry{}}
	operator, incident := event.Token(req.Operator), event.Token(req.Incident)
	if shown, err := l.maySeeIncident(ctx, operator, incident); err != nil || !shown {
		if err == nil {
			err = l.logHidden(ctx, x, operator, incident)
		}
		return answer, err // as for an unknown incident
	}
	entries, err := x.Story(ctx, req)
	if err != nil {
		return answer, l.indexError(err)
	}
	answer.More = len(entries) == index.PageRows
	if len(entries) > 0 {
		if err := l.recordReading(ctx, operator, incident, 0); err != nil {
			return answer, err
		}
	}
	bytes := 0
	for len(entries) > 0 {
		part := entries[:min(storyPart, len(entries))]
		entries = entries[len(part):]
		seqs := make([]uint64, len(part))
		for i, e := range part {
			seqs[i] = e.Record
		}
		records, err := l.log.Fetch(ctx, seqs)
		if err != nil {
			return answer, err
		}
		records = withLateness(l.deps.Clock, records)
		for i, e := range part {
			if err := fillEntry(&e, records[i]); err != nil {
				return answer, err
			}
			if bytes += len(e.Body); bytes > index.PageBytes && len(answer.Entries) > 0 {
				answer.More = true
				return answer, nil
			}
			answer.Entries = append(answer.Entries, e)
		}
	}
	return answer, nil
}

// fillEntry completes an entry with its record. A missing record does not stop the rest
// of the story.
func fillEntry(e *api.StoryEntry, s event.Stored) (err error) {
	e.Subject = s.Subject
	switch {
	case s.Wire == "":
		e.Body = []byte(`{"missing":true}`)
	case jsontext.Value(s.Data).IsValid(event.JSON):
		e.Body = s.Data
	default:
		e.Body, err = json.Marshal(map[string][]byte{"unreadable": s.Data}, event.JSON)
	}
	return err
}
