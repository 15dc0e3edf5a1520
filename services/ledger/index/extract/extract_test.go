package extract

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/services/ledger/ledgertest"
)

// Decoding the parts of a record gives the same as decoding the record.
func TestPartsSayTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := ledgertest.AnyRecord(t)
		for _, of := range []func([]byte) (any, error){func(raw []byte) (any, error) {
			var e escalated
			err := json.Unmarshal(raw, &e)
			if strings.HasPrefix(string(e.Report), "{") {
				return e.row(1), err
			}
			return e, err
		}, func(raw []byte) (any, error) {
			var g revision
			err := json.Unmarshal(raw, &g)
			return g, err
		}} {
			whole, fault := of(r.Data)
			for _, p := range []parts{escalatedParts, revisionParts} {
				picked, err := of(p.pick(r.Data))
				require.Equal(t, fault == nil, err == nil)
				if e, is := whole.(api.EscalationRow); is && reflect.ValueOf(p).Pointer() == reflect.ValueOf(escalatedParts).Pointer() {
					require.Equal(t, e, picked)
				}
				if _, is := whole.(revision); is && reflect.ValueOf(p).Pointer() == reflect.ValueOf(revisionParts).Pointer() {
					require.Equal(t, whole, picked)
				}
			}
		}
	})
}
