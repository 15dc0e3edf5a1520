package credential

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/tocsin-project/tocsin/internal/codectest"
)

// What is stored in accounts and in the file of the signing key.
func TestJSON_KeepsEveryField(t *testing.T) {
	t.Parallel()
	for _, of := range []reflect.Type{reflect.TypeFor[Holder](), reflect.TypeFor[signer](), reflect.TypeFor[internalUsers]()} {
		codectest.Value(t, of, json.Marshal, json.Unmarshal)
	}
}
