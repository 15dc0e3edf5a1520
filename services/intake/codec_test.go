package intake

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/tocsin-project/tocsin/internal/codectest"
)

// An account that forgot a field over a restart would give back what an operator has used.
func TestStoredAccount_KeepsEveryField(t *testing.T) {
	t.Parallel()
	codectest.Value(t, reflect.TypeFor[stored](), json.Marshal, json.Unmarshal)
}
