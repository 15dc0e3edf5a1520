package cloudevent

import (
	"encoding/json"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tocsin-project/tocsin/internal/event"
)

// We read what the SDK writes, and the SDK reads what we accept in the same way: a
// foreign sender meets no dialect of ours.
func TestParse_AgreesWithTheSDK(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-z][a-zA-Z0-9_\-.事件中断"\\ ]{0,40}[a-z]`) // the SDK trims ids
		sent := cloudevents.New("1.0")
		sent.SetID(text.Draw(t, "id"))
		sent.SetSource(event.SourceOf(rapid.StringMatching(`[a-z\-]{1,20}`).Draw(t, "operator")))
		sent.SetType(event.TypeProgress)
		sent.SetSubject(text.Draw(t, "subject"))
		sent.SetTime(time.Unix(rapid.Int64Range(1e9, 2e9).Draw(t, "time"), 0).UTC())
		sent.SetExtension("traceparent", text.Draw(t, "extension"))
		data := jsontext.Value(`{"containsNoStateSecrets":true,"facts":{"peopleAffected":` + rapid.StringMatching(`[1-9][0-9]{0,9}`).Draw(t, "people") + `}}`)
		require.NoError(t, sent.SetData("application/json", data))
		raw, err := sent.MarshalJSON()
		require.NoError(t, err)

		got, err := Parse(raw)
		require.NoError(t, err)
		require.Equal(t, sent.ID(), got.ID)
		require.Equal(t, sent.Source(), got.Source)
		require.Equal(t, sent.Type(), got.Type)
		require.Equal(t, sent.Subject(), got.Subject)
		require.True(t, sent.Time().Equal(got.Time))
		require.JSONEq(t, string(data), string(got.Data))

		var kept cloudevents.Event
		require.NoError(t, json.Unmarshal(got.Raw, &kept))
		require.NoError(t, kept.Validate())
		require.Equal(t, sent.ID(), kept.ID())
		require.Equal(t, sent.Subject(), kept.Subject())
		require.Equal(t, sent.Extensions(), kept.Extensions())
		require.JSONEq(t, string(sent.Data()), string(kept.Data()))
	})
}
