package httpedge

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/tocsin-project/tocsin/internal/event"
)

// Responses describes the problems that an operation may answer with.
func Responses(api huma.API, problems ...int) map[string]*huma.Response {
	schema := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")
	out := map[string]*huma.Response{}
	for _, status := range problems {
		r := &huma.Response{
			Description: http.StatusText(status),
			Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
		}
		if status == http.StatusServiceUnavailable {
			r.Headers = map[string]*huma.Header{"Retry-After": {Description: "seconds until it makes sense to ask again", Schema: &huma.Schema{Type: huma.TypeInteger}}}
		}
		out[strconv.Itoa(status)] = r
	}
	return out
}

// Schema describes a type as JSON.
func Schema[T any](api huma.API) *huma.Schema {
	return api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[T](), true, "")
}

// registerScalars describes types of the vocabulary that marshal themselves.
func registerScalars(r huma.Registry) {
	r.RegisterTypeAlias(reflect.TypeFor[jsontext.Value](), reflect.TypeFor[json.RawMessage]()) // any JSON
	r.RegisterTypeAlias(reflect.TypeFor[event.Stamp](), reflect.TypeFor[stampSchema]())
	r.RegisterTypeAlias(reflect.TypeFor[event.Grade](), reflect.TypeFor[gradeSchema]())
	r.RegisterTypeAlias(reflect.TypeFor[event.Duration](), reflect.TypeFor[durationSchema]())
}

type stampSchema struct{}

func (stampSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time"}
}

type gradeSchema struct{}

func (gradeSchema) Schema(huma.Registry) *huma.Schema {
	s := &huma.Schema{Type: huma.TypeString}
	for _, g := range append(event.Grades[:len(event.Grades):len(event.Grades)], event.Ungraded) {
		s.Enum = append(s.Enum, g.String())
	}
	return s
}

type durationSchema struct{}

func (durationSchema) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "duration", Description: "ISO 8601"}
}

// nullable corrects huma's idea of null: a pointer to a struct that is always written may
// be null; a list that is omitted when empty never is.
func nullable(r huma.Registry) {
	for name, schema := range r.Map() {
		t := r.TypeFromRef("#/components/schemas/" + name)
		if t == nil || t.Kind() != reflect.Struct {
			continue
		}
		for _, f := range reflect.VisibleFields(t) {
			field, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			property, always := schema.Properties[field], !strings.Contains(options, "omit")
			switch {
			case property == nil:
			case f.Type.Kind() == reflect.Slice && !always:
				property.Nullable = false
			case f.Type.Kind() == reflect.Pointer && property.Ref != "" && always:
				schema.Properties[field] = &huma.Schema{AnyOf: []*huma.Schema{{Ref: property.Ref}, {Type: "null"}}}
			}
		}
	}
}
