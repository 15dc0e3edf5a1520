package export

import (
	"reflect"
	"testing"

	"github.com/tocsin-project/tocsin/internal/codectest"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

func TestManifest_KeepsEveryField(t *testing.T) {
	t.Parallel()
	codectest.Value(t, reflect.TypeFor[Manifest](), func(v any) ([]byte, error) { return v.(*Manifest).encode() }, evidence.Decode)
}
