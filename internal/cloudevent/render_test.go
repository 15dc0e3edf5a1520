package cloudevent

import (
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-project/tocsin/internal/document"
)

// toNATS renders an event in binary mode, as a client does. It is the inverse of FromNATS,
// except that extension attributes come back as strings.
func toNATS(e *Event) (map[string][]string, []byte) {
	h := make(map[string][]string)
	for name, v := range e.attributes() {
		h[headerPrefix+name] = []string{percentEncode(v)}
	}
	return h, e.Data
}

// attributes returns every attribute in its canonical string form.
func (e *Event) attributes() map[string]string {
	attributes := map[string]string{"specversion": "1.0", "id": e.ID, "source": e.Source, "type": e.Type, "subject": e.Subject}
	if !e.Time.IsZero() {
		attributes["time"] = e.Time.Format(time.RFC3339Nano)
	}
	w := document.Walk(e.Raw, "$", 0, new(document.Faults))
	defer w.Done()
	w.Read()
	for _, m := range w.Members {
		switch v := w.Of(m); v.Type() {
		case document.TypeString:
			attributes[v[0].Name] = v.Text()
		case document.TypeBoolean:
			attributes[v[0].Name] = strconv.FormatBool(v[0].Num == 1)
		case document.TypeNumber:
			attributes[v[0].Name] = strconv.FormatInt(int64(v[0].Num), 10)
		}
	}
	delete(attributes, "data")
	return attributes
}

// percentEncode encodes a header value by section 3.1.3.2 of the HTTP binding: space,
// double quote, percent and everything outside U+0021 to U+007E become UTF-8 in %XY.
func percentEncode(s string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '"' || c == '%' || c >= 0x7F {
			b.WriteByte('%')
			b.WriteByte(hexDigits[c>>4])
			b.WriteByte(hexDigits[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
