package ledger

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/httpedge"
)

const (
	formText = "text/plain; charset=utf-8"
	formTile = "application/octet-stream"
)

func (d *httpAPI) registerLog() {
	type nothing struct{}
	type state struct {
		CacheControl string `header:"Cache-Control"`
		Body         api.LogState
	}
	huma.Register(d.api, huma.Operation{
		OperationID: "log", Method: http.MethodGet, Path: "/log", Tags: []string{"log"},
		Summary:   "Where the log stands, and what damage was found",
		Responses: httpedge.Responses(d.api, http.StatusBadRequest, http.StatusServiceUnavailable),
	}, func(ctx context.Context, _ *nothing) (*state, error) {
		s, err := d.state(ctx)
		if err != nil {
			return nil, d.problem(ctx, err)
		}
		return &state{httpedge.CacheNever, s}, nil
	})

	content(d, "checkpoint", "/log/checkpoint", "The signed head of the log (C2SP tlog-checkpoint)", httpedge.Content{Type: formText, Cache: httpedge.CacheSecond},
		func(ctx context.Context, _ *nothing) ([]byte, error) {
			s, err := d.state(ctx)
			if err == nil && s.Checkpoint == "" {
				err = httpedge.NewProblem(http.StatusNotFound, "there is no checkpoint yet")
			}
			return []byte(s.Checkpoint), err
		})
	content(d, "key", "/log/key", "The key that verifies checkpoints, as a note verifier key", httpedge.Content{Type: formText, Cache: httpedge.CacheRevalidate},
		func(ctx context.Context, _ *nothing) ([]byte, error) {
			s, err := d.state(ctx)
			return []byte(s.Key + "\n"), err
		})
	content(d, "tile", "/log/tile/{path...}", "A tile of the tree, or a bundle of entries (C2SP tlog-tiles)", httpedge.Content{Type: formTile, Cache: httpedge.CacheImmutable},
		func(ctx context.Context, in *struct {
			Path string `path:"path" doc:"LEVEL/INDEX or entries/INDEX, for a partial one with .p/WIDTH, such as 0/x001/234 or entries/000.p/17: its slashes stand as they are"`
		}) ([]byte, error) {
			name := "tile/" + in.Path
			a, err := d.log.Tiles(ctx, api.TilesRequest{Paths: []string{name}})
			if fault.DetailsOf(err) != nil || err == nil && (len(a.Tiles) == 0 || a.Tiles[0] == nil) {
				err = httpedge.NewProblem(http.StatusNotFound, "there is no "+name)
			}
			if err != nil {
				return nil, err
			}
			return a.Tiles[0], nil
		})

	type record struct {
		Record uint64 `path:"record" minimum:"1" doc:"ledger sequence"`
	}
	content(d, "record", "/log/records/{record}", "A record as it stands in the log", httpedge.Content{Type: formJSON, Cache: httpedge.CacheNever},
		func(ctx context.Context, in *record) ([]byte, error) {
			certified := d.log.Last().Size // before the record is read, so that one stored meanwhile does not count as missing
			a, err := d.records(ctx, api.RecordsRequest{From: in.Record, To: in.Record})
			if err != nil {
				return nil, err
			}
			if len(a.Lines) == 0 {
				return nil, d.noRecord(ctx, in.Record, certified)
			}
			return []byte(a.Lines[0]), nil
		})
	content(d, "proof", "/log/records/{record}/proof", "A file that proves that a record is in the log (C2SP tlog-proof)", httpedge.Content{Type: formText, Cache: httpedge.CacheNever},
		func(ctx context.Context, in *record) ([]byte, error) {
			a, err := d.prove(ctx, api.ProveRequest{Record: in.Record})
			return []byte(a.Proof), err
		})
}

// noRecord returns the error for a record that is not in the stream: not stored yet,
// removed, or lost. certified is how many certified records the log had.
func (d *httpAPI) noRecord(ctx context.Context, record, certified uint64) error {
	if record > certified {
		return httpedge.NewProblem(http.StatusNotFound, fmt.Sprintf("there is no record %d", record))
	}
	err := d.log.WhyGone(ctx, record)
	if details := fault.DetailsOf(err); len(details) > 0 {
		return httpedge.NewProblem(http.StatusNotFound, details[0].Message)
	}
	return err
}

// content adds an operation that answers with bytes of the given form and an ETag.
func content[Q any](d *httpAPI, name, path, summary string, form httpedge.Content, ask func(context.Context, *Q) ([]byte, error)) {
	responses := httpedge.Responses(d.api, http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable)
	responses["200"] = &huma.Response{
		Description: http.StatusText(http.StatusOK),
		Headers:     map[string]*huma.Header{"ETag": {Schema: &huma.Schema{Type: huma.TypeString}}},
		Content:     map[string]*huma.MediaType{form.Type: {Schema: schemaOf(form.Type)}},
	}
	responses["304"] = &huma.Response{Description: "it is what If-None-Match names"}
	huma.Register(d.api, huma.Operation{
		OperationID: name, Method: http.MethodGet, Path: path, Tags: []string{"log"}, Summary: summary, Responses: responses,
		Parameters: []*huma.Param{{Name: "If-None-Match", In: "header", Description: "the ETag of what is there already", Schema: &huma.Schema{Type: huma.TypeString}}},
	}, func(ctx context.Context, q *Q) (*httpedge.Raw, error) {
		body, err := ask(ctx, q)
		if err != nil {
			return nil, d.problem(ctx, err)
		}
		out := form
		out.Body = body
		return httpedge.Answer(out.Answer), nil
	})
}

func schemaOf(form string) *huma.Schema {
	switch form {
	case formTile:
		return &huma.Schema{Type: huma.TypeString, Format: "binary"}
	case formJSON:
		return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Required: []string{"record", "subject", "header"},
			Description: "its line form: the body stands as body where it is JSON on one line, otherwise as bodyBase64",
			Properties: map[string]*huma.Schema{
				"record":     {Type: huma.TypeInteger},
				"subject":    {Type: huma.TypeString},
				"header":     {Type: huma.TypeObject, AdditionalProperties: &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}},
				"body":       {},
				"bodyBase64": {Type: huma.TypeString, ContentEncoding: "base64"},
			}}
	}
	return &huma.Schema{Type: huma.TypeString}
}
