package evidence

import (
	stdjson "encoding/json"
	"reflect"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/internal/codectest"
)

func TestJSON_KeepsEveryField(t *testing.T) {
	t.Parallel()
	coded := []any{Receipt{}, SignedReceipt{}, SignedAct{}, Acts{}}
	codectest.Covers(t, ".", coded...)
	codectest.JSON(t, json.DefaultOptionsV2(), coded...)
	for _, v := range coded {
		codectest.Value(t, reflect.TypeOf(v), stdjson.Marshal, Decode)
	}
}

func TestLine_KeepsEveryField(t *testing.T) {
	t.Parallel()
	codectest.Value(t, reflect.TypeFor[Record](), func(v any) ([]byte, error) { return v.(*Record).Line(), nil }, func(raw []byte, v any) (err error) {
		*v.(*Record), err = ParseLine(raw)
		return err
	})
}

// A field of a receipt that were not in its text would not be signed.
func TestReceipt_TextHasEveryField(t *testing.T) {
	t.Parallel()
	var full Receipt
	codectest.Fill(&full)
	for i := range reflect.TypeFor[Receipt]().NumField() {
		without := full
		reflect.ValueOf(&without).Elem().Field(i).SetZero()
		require.NotEqual(t, string(full.text(nil)), string(without.text(nil)), reflect.TypeFor[Receipt]().Field(i).Name)
	}
}
