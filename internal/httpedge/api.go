package httpedge

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/danielgtaylor/huma/v2/yaml"

	"github.com/tocsin-project/tocsin/internal/fault"
	"github.com/tocsin-project/tocsin/internal/printable"
)

// NewAPI returns an API on mux that serves its description at /openapi.json and
// /openapi.yaml. A faulty question is a problem with status 400, also for unknown and
// repeated parameters.
func NewAPI(mux *http.ServeMux, title, description string) huma.API {
	useProblems()
	config := huma.DefaultConfig(title, "1")
	config.Info.Description = description
	config.CreateHooks = nil // they add a $schema to every answer
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "", "", ""
	config.RejectUnknownQueryParameters = true
	config.AllowAdditionalPropertiesByDefault = true // the contract: more fields may be added
	config.OnAddOperation = append(config.OnAddOperation, func(o *huma.OpenAPI, _ *huma.Operation) { nullable(o.Components.Schemas) })
	registerScalars(config.Components.Schemas)
	a := &api{humago.New(mux, config), config}
	a.UseMiddleware(a.parameters)
	a.describe(mux)
	return a
}

// api extends huma's API.
type api struct {
	huma.API
	config huma.Config
}

// Config is called by huma.
func (a *api) Config() huma.Config { return a.config }

// DocumentOperation describes an operation. OpenAPI has no path of several segments,
// {path...}, so it is described as {path}.
func (a *api) DocumentOperation(op *huma.Operation) {
	documented := *op
	documented.Path = strings.ReplaceAll(op.Path, "...}", "}")
	a.OpenAPI().AddOperation(&documented)
}

// Document describes an operation of api that is not answered through huma.
func Document(api huma.API, op huma.Operation) {
	if d, ok := api.(huma.OperationDocumenter); ok {
		d.DocumentOperation(&op)
		return
	}
	api.OpenAPI().AddOperation(&op)
}

// parameters refuses an ambiguous query.
func (a *api) parameters(ctx huma.Context, next func(huma.Context)) {
	u := ctx.URL()
	query, err := url.ParseQuery(u.RawQuery)
	var errs []error
	if err != nil {
		errs = append(errs, &huma.ErrorDetail{Location: "query", Message: "cannot be read: " + err.Error()})
	}
	for name, values := range query {
		if len(values) > 1 {
			errs = append(errs, &huma.ErrorDetail{Location: "query." + name, Message: "is given more than once"})
		}
	}
	if errs != nil {
		_ = huma.WriteErr(a, ctx, http.StatusBadRequest, invalidQuery, errs...) // the peer may be gone
		return
	}
	next(ctx)
}

// describe serves the description, which is complete when the first request comes.
func (a *api) describe(mux *http.ServeMux) {
	document := sync.OnceValues(func() ([]byte, error) { return json.Marshal(a.OpenAPI()) })
	answer := func(path, mediaType string, render func([]byte) ([]byte, error)) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			body, err := document()
			if err == nil {
				body, err = render(body)
			}
			if err != nil {
				Write(w, NewProblem(http.StatusInternalServerError, "the description cannot be written"))
				return
			}
			Content{Type: mediaType, Cache: CacheRevalidate, Body: body}.Answer(w, r)
		})
	}
	answer("/openapi.json", "application/openapi+json", func(b []byte) ([]byte, error) { return b, nil })
	answer("/openapi.yaml", "application/openapi+yaml", func(b []byte) ([]byte, error) {
		var out bytes.Buffer
		err := yaml.Convert(&out, bytes.NewReader(b))
		return out.Bytes(), err
	})
}

// Raw is the output of an operation that writes its own answer.
type Raw struct {
	Body func(huma.Context)
}

// Answer turns a function that writes an answer into the output of an operation.
func Answer(write func(http.ResponseWriter, *http.Request)) *Raw {
	return &Raw{func(c huma.Context) {
		r, w := humago.Unwrap(c)
		write(w, r)
	}}
}

// invalidQuery is the detail of the problem for a faulty question.
const invalidQuery = "the query is invalid; every fault is listed"

// InvalidQuery returns the problem of a question with faults.
func InvalidQuery(errors []fault.Detail) *Problem {
	return NewProblem(http.StatusBadRequest, invalidQuery, errors...)
}

// useProblems makes huma's errors our problems, by setting a variable of huma's.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		if status == http.StatusUnprocessableEntity {
			status, message = http.StatusBadRequest, invalidQuery
		}
		p := NewProblem(status, message)
		if status >= http.StatusInternalServerError {
			p.Detail = "" // do not expose internal failures
			return p
		}
		for _, err := range errs[:min(len(errs), maxErrors)] {
			p.Errors = append(p.Errors, detailOf(err))
		}
		slices.SortStableFunc(p.Errors, func(a, b fault.Detail) int { return strings.Compare(a.Path, b.Path) })
		return p
	}
})

// maxErrors bounds the faults that a problem lists, and maxName how much of a name it
// repeats: a query may consist of unknown parameters only.
const (
	maxErrors = 100
	maxName   = 80
)

// detailOf converts huma's error, whose location "query.grade" is $.grade in a question
// over NATS.
func detailOf(err error) fault.Detail {
	var d *huma.ErrorDetail
	if !errors.As(err, &d) {
		return fault.Detail{Path: "$", Message: err.Error()}
	}
	location, name, ok := strings.Cut(d.Location, ".")
	switch {
	case !ok:
		return fault.Detail{Path: "$", Message: "the " + location + " " + d.Message}
	case d.Message == "unknown query parameter":
		return fault.Detail{Path: pathOf(name), Message: "is not a known parameter"}
	}
	return fault.Detail{Path: pathOf(name), Message: d.Message}
}

var shorthand = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// pathOf returns the path of a parameter in the question.
func pathOf(name string) string {
	if shorthand.MatchString(name) {
		return "$." + printable.Truncate(name, maxName)
	}
	quoted, _ := json.Marshal(printable.Truncate(name, maxName)) // a string always marshals
	return "$[" + string(quoted) + "]"
}
