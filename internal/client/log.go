package client

import (
	"context"
	"time"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Log says where the log stands: its last checkpoint, key and damage.
func (c *Client) Log(ctx context.Context) (*event.LogState, error) {
	return ask[event.LogState](ctx, c, event.DoorLog, struct{}{})
}

// Stats counts the escalations that q asks for by its dimension.
func (c *Client) Stats(ctx context.Context, q event.StatsQuery) (*event.StatsAnswer, error) {
	a, err := ask[event.StatsAnswer](ctx, c, event.DoorStats, q)
	if err != nil {
		return nil, err
	}
	return a, refused("stats", a.Errors)
}

// Prove returns the proof file that a record is in the log.
func (c *Client) Prove(ctx context.Context, record uint64) (string, error) {
	return c.prove(ctx, event.ProveRequest{Record: record})
}

// ProveExtends returns the proof file that the log of so many records is the
// beginning of what it is now.
func (c *Client) ProveExtends(ctx context.Context, size uint64) (string, error) {
	return c.prove(ctx, event.ProveRequest{Size: size})
}

func (c *Client) prove(ctx context.Context, q event.ProveRequest) (string, error) {
	a, err := ask[event.ProveAnswer](ctx, c, event.DoorProve, q)
	if err != nil {
		return "", err
	}
	return a.Proof, refused("prove", a.Errors)
}

// Audit says how far a check of the whole record has come: see
// event.AuditRequest.
func (c *Client) Audit(ctx context.Context, after uint64) (*event.AuditAnswer, error) {
	a, err := ask[event.AuditAnswer](ctx, c, event.DoorAudit, event.AuditRequest{After: after})
	if err != nil {
		return nil, err
	}
	return a, refused("audit", a.Errors)
}

// Remove has a record removed by order. A repeat finds it removed.
func (c *Client) Remove(ctx context.Context, q event.RemoveRequest) (*event.RemoveAnswer, error) {
	var err error
	if q.Signing, err = c.signing(ctx); err != nil {
		return nil, err
	}
	return askSigned(ctx, c, event.DoorRemove, q)
}

// Archive has records removed that are old and exported, part by part, and
// hands the answer on each part to yield. What was removed before is passed
// over, so that it may be asked again after an interruption.
func (c *Client) Archive(ctx context.Context, q event.ArchiveRequest, yield func(*event.RemoveAnswer) error) error {
	var err error
	if q.Signing, err = c.signing(ctx); err != nil {
		return err
	}
	for {
		a, err := askSigned(ctx, c, event.DoorArchive, q)
		if err != nil {
			return err
		}
		if err := refused("archive", a.Errors); err != nil {
			return err
		}
		if err := yield(a); err != nil {
			return err
		}
		if a.Next <= q.First { // 0, at the end; anything else that is not further on would go round for ever
			return nil
		}
		q.First = a.Next
	}
}

// TryArchive asks whether the server would take an archive, and removes nothing.
// The export need not be there yet. An error has what speaks against it.
func (c *Client) TryArchive(ctx context.Context, q event.ArchiveRequest) error {
	q.Try = true
	a, err := ask[event.RemoveAnswer](ctx, c, event.DoorArchive, q)
	if err != nil {
		return err
	}
	return refused("archive", a.Errors)
}

// Range is which records q means: the ledger sequences of the first and the last
// of its range. It is empty where last is less than first.
func (c *Client) Range(ctx context.Context, q event.RecordsRequest) (first, last uint64, err error) {
	page := <-c.recordsPage(ctx, q)
	if page.err != nil {
		return 0, 0, page.err
	}
	return page.First, page.Last, nil
}

// Records hands the records that q asks for to yield, in ledger order, page by
// page behind the scenes; those that were removed are passed over. The next page
// is fetched while one is handed over. begin is called first, with the range that
// q resolves to: it is empty where last is less than first.
func (c *Client) Records(ctx context.Context, q event.RecordsRequest, begin func(first, last uint64) error, yield func(evidence.Record) error) error {
	return c.RecordsStored(ctx, q, begin, func(r evidence.Record, _ time.Time) error { return yield(r) })
}

// RecordsStored is Records, and says of an escalation that was stored after a due time
// which its own stamp keeps when that was; zero, of any other record.
func (c *Client) RecordsStored(ctx context.Context, q event.RecordsRequest, begin func(first, last uint64) error, yield func(evidence.Record, time.Time) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	next := c.recordsPage(ctx, q)
	for begun := false; next != nil; begun = true {
		page := <-next
		if page.err != nil {
			return page.err
		}
		if !begun {
			if err := begin(page.First, page.Last); err != nil {
				return err
			}
			// What is stored meanwhile is not part of what was asked for.
			q.To, q.Since, q.Until = page.Last, nil, nil
		}
		next = nil
		if page.Next > q.From {
			q.From = page.Next
			next = c.recordsPage(ctx, q)
		}
		for _, l := range page.Lines {
			r, err := evidence.ParseLine([]byte(l))
			if err != nil {
				return err
			}
			if err := yield(r, page.StoredLate[r.Sequence]); err != nil {
				return err
			}
		}
	}
	return nil
}

// recordsPage is one page of records, or the error instead of it.
type recordsPage struct {
	*event.RecordsAnswer
	err error
}

// recordsPage asks for a page and does not wait for it.
func (c *Client) recordsPage(ctx context.Context, q event.RecordsRequest) <-chan recordsPage {
	answer := make(chan recordsPage, 1)
	go func() {
		page, err := ask[event.RecordsAnswer](ctx, c, event.DoorRecords, q)
		if err == nil {
			err = refused("records", page.Errors)
		}
		answer <- recordsPage{page, err}
	}()
	return answer
}

// refused is the error of a question that was refused, or nil.
func refused(op string, details []fault.Detail) error {
	if details == nil {
		return nil
	}
	return fault.Invalid(op, details)
}
