package event

import (
	"encoding/json"
	"strconv"
	"time"
)

// object builds a JSON object. It writes what encoding/json writes, except that it does
// not escape <, > and &.
type object struct {
	out []byte
	err error // the first one
}

func newObject(room int) *object { return &object{out: append(make([]byte, 0, room), '{')} }

func (o *object) done() ([]byte, error) { return append(o.out, '}'), o.err }

// member begins a member.
func (o *object) member(name string) {
	if o.out[len(o.out)-1] != '{' {
		o.out = append(o.out, ',')
	}
	o.out = append(appendQuoted(o.out, name), ':')
}

func (o *object) null(name string) {
	o.member(name)
	o.out = append(o.out, "null"...)
}

func (o *object) text(name, value string) {
	o.member(name)
	o.out = appendQuoted(o.out, value)
}

// some writes a text unless it is empty.
func (o *object) some(name, value string) {
	if value != "" {
		o.text(name, value)
	}
}

func (o *object) number(name string, value uint64) {
	o.member(name)
	o.out = strconv.AppendUint(o.out, value, 10)
}

func (o *object) flag(name string, value bool) {
	o.member(name)
	o.out = strconv.AppendBool(o.out, value)
}

// mark writes true, and nothing for false.
func (o *object) mark(name string, value bool) {
	if value {
		o.member(name)
		o.out = append(o.out, "true"...)
	}
}

func (o *object) time(name string, value time.Time) {
	o.member(name)
	o.out = append(o.out, '"')
	out, err := value.AppendText(o.out)
	o.fail(err)
	o.out = append(out, '"')
}

func (o *object) texts(name string, values []string) {
	if values == nil {
		o.null(name)
		return
	}
	o.member(name)
	o.out = append(o.out, '[')
	for i, v := range values {
		if i > 0 {
			o.out = append(o.out, ',')
		}
		o.out = appendQuoted(o.out, v)
	}
	o.out = append(o.out, ']')
}

func (o *object) object(name string, write func(*object)) {
	o.member(name)
	o.out = append(o.out, '{')
	write(o)
	o.out = append(o.out, '}')
}

// list writes n objects.
func (o *object) list(name string, n int, write func(i int)) {
	o.member(name)
	o.out = append(o.out, '[')
	for i := range n {
		if i > 0 {
			o.out = append(o.out, ',')
		}
		o.out = append(o.out, '{')
		write(i)
		o.out = append(o.out, '}')
	}
	o.out = append(o.out, ']')
}

// moment writes a time unless it is nil.
func (o *object) moment(name string, value *time.Time) {
	if value != nil {
		o.time(name, *value)
	}
}

// maybe writes a time, or null.
func (o *object) maybe(name string, value *time.Time) {
	if value == nil {
		o.null(name)
		return
	}
	o.time(name, *value)
}

// listed writes a list unless it is empty.
func listed[T any](o *object, name string, values []T) {
	if len(values) > 0 {
		list(o, name, values)
	}
}

// encoded writes any other value unless it is nil.
func encoded[T any](o *object, name string, value *T) {
	if value != nil {
		o.encode(name, value)
	}
}

// list writes a list, which is most often empty.
func list[T any](o *object, name string, values []T) {
	if values == nil {
		o.null(name)
		return
	}
	if _, can := any((*T)(nil)).(part); can || len(values) == 0 {
		o.list(name, len(values), func(i int) { any(&values[i]).(part).render(o) })
		return
	}
	o.encode(name, values)
}

// raw writes a value that is already JSON.
func (o *object) raw(name string, value []byte, err error) {
	o.fail(err)
	o.member(name)
	o.out = append(o.out, value...)
}

// encode writes any other value.
func (o *object) encode(name string, value any) {
	raw, err := json.Marshal(value)
	o.raw(name, raw, err)
}

func (o *object) fail(err error) {
	if o.err == nil {
		o.err = err
	}
}
