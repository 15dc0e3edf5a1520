package client

import (
	"context"
	"time"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/evidence"
	"github.com/tocsin-project/tocsin/internal/fault"
)

// Log returns the state of the log: its last checkpoint, key and damage.
func (c *Client) Log(ctx context.Context) (*api.LogState, error) {
	return requestJSON[api.LogState](ctx, c, api.EndpointLog, struct{}{})
}

// Stats counts the matching escalations by a dimension.
func (c *Client) Stats(ctx context.Context, q api.StatsQuery) (*api.StatsAnswer, error) {
	a, err := requestJSON[api.StatsAnswer](ctx, c, api.EndpointStats, q)
	if err != nil {
		return nil, err
	}
	return a, refused("stats", a.Errors)
}

// Prove returns the proof file that a record is in the log.
func (c *Client) Prove(ctx context.Context, record uint64) (string, error) {
	return c.prove(ctx, api.ProveRequest{Record: record})
}

// ProveExtends returns the proof file that the current log extends the log of the given
// size.
func (c *Client) ProveExtends(ctx context.Context, size uint64) (string, error) {
	return c.prove(ctx, api.ProveRequest{Size: size})
}

func (c *Client) prove(ctx context.Context, q api.ProveRequest) (string, error) {
	a, err := requestJSON[api.ProveAnswer](ctx, c, api.EndpointProve, q)
	if err != nil {
		return "", err
	}
	return a.Proof, refused("prove", a.Errors)
}

// Audit returns the progress of a check of the whole record: see event.AuditRequest.
func (c *Client) Audit(ctx context.Context, after uint64) (*api.AuditAnswer, error) {
	a, err := requestJSON[api.AuditAnswer](ctx, c, api.EndpointAudit, api.AuditRequest{After: after})
	if err != nil {
		return nil, err
	}
	return a, refused("audit", a.Errors)
}

// Remove removes a record by order. A repeat is answered as a duplicate.
func (c *Client) Remove(ctx context.Context, q api.RemoveRequest) (*api.RemoveAnswer, error) {
	var err error
	if q.Signing, err = c.signing(ctx); err != nil {
		return nil, err
	}
	return requestSigned(ctx, c, api.EndpointRemove, q)
}

// Archive removes old, exported records part by part, and hands the answer on each part
// to yield. Records that were removed before are skipped, so that an interrupted call can
// be repeated.
func (c *Client) Archive(ctx context.Context, q api.ArchiveRequest, yield func(*api.RemoveAnswer) error) error {
	var err error
	if q.Signing, err = c.signing(ctx); err != nil {
		return err
	}
	for {
		a, err := requestSigned(ctx, c, api.EndpointArchive, q)
		if err != nil {
			return err
		}
		if err := refused("archive", a.Errors); err != nil {
			return err
		}
		if err := yield(a); err != nil {
			return err
		}
		if a.Next <= q.First { // 0 at the end; any other value that is not further on would loop forever
			return nil
		}
		q.First = a.Next
	}
}

// TryArchive asks whether the server would accept an archive, and removes nothing. The
// export need not exist yet. The error contains the reasons against it.
func (c *Client) TryArchive(ctx context.Context, q api.ArchiveRequest) error {
	q.Try = true
	a, err := requestJSON[api.RemoveAnswer](ctx, c, api.EndpointArchive, q)
	if err != nil {
		return err
	}
	return refused("archive", a.Errors)
}

// Range returns the ledger sequences of the first and the last record that q selects. The
// range is empty where last is less than first.
func (c *Client) Range(ctx context.Context, q api.RecordsRequest) (first, last uint64, err error) {
	page := <-c.recordsPage(ctx, q)
	if page.err != nil {
		return 0, 0, page.err
	}
	return page.First, page.Last, nil
}

// Records hands the selected records to yield, in ledger order, fetching page by page;
// removed records are skipped. The next page is fetched while one is handed over. begin
// is called first, with the range that q resolves to: it is empty where last is less than
// first.
func (c *Client) Records(ctx context.Context, q api.RecordsRequest, begin func(first, last uint64) error, yield func(evidence.Record) error) error {
	return c.RecordsStored(ctx, q, begin, func(r evidence.Record, _ time.Time) error { return yield(r) })
}

// RecordsStored is Records, and also passes when an escalation was stored if that was
// after a due time which its own stamp keeps; zero for any other record.
func (c *Client) RecordsStored(ctx context.Context, q api.RecordsRequest, begin func(first, last uint64) error, yield func(evidence.Record, time.Time) error) error {
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
			// Records stored meanwhile are not part of the requested range.
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

type recordsPage struct {
	*api.RecordsAnswer
	err error
}

// recordsPage requests a page without waiting for it.
func (c *Client) recordsPage(ctx context.Context, q api.RecordsRequest) <-chan recordsPage {
	answer := make(chan recordsPage, 1)
	go func() {
		page, err := requestJSON[api.RecordsAnswer](ctx, c, api.EndpointRecords, q)
		if err == nil {
			err = refused("records", page.Errors)
		}
		answer <- recordsPage{page, err}
	}()
	return answer
}

// refused returns the error of a refused request, or nil.
func refused(op string, details []fault.Detail) error {
	if details == nil {
		return nil
	}
	return fault.Invalid(op, details)
}
