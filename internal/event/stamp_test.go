package event

import (
	"testing"
	"time"

	json "github.com/go-json-experiment/json/v1"
	"github.com/stretchr/testify/require"
)

func TestStamp_HasMilliseconds(t *testing.T) {
	for nanos, want := range map[int]string{
		0: ".000Z", 5e8: ".500Z", 12e7: ".120Z", 123e6: ".123Z", 123456e3: ".123456Z", 1: ".000000001Z",
	} {
		at := time.Date(2026, 1, 2, 3, 4, 5, nanos, time.UTC)
		for _, v := range []any{Receipt{ReceivedAt: &at}, Duty{DueAt: &at}, Next{At: at}, Obligation{DueAt: &at}, Lateness{DueAt: at}} {
			b, err := json.Marshal(v)
			require.NoError(t, err)
			require.Contains(t, string(b), `"2026-01-02T03:04:05`+want+`"`)
		}
	}
}
