package evidence

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
)

// testLog is a complete log in memory: records, tiles, a key.
type testLog struct {
	key      *Key
	verifier Verifier
	records  []Record // all that ever were, from 1
	tiles    memory
	cp       Checkpoint
}

var testKey = sync.OnceValue(freshKey)

// freshKey returns a key that is not in a file.
func freshKey() *Key {
	secret, public, err := note.GenerateKey(rand.Reader, "log.example.com/test")
	if err != nil {
		panic(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		panic(err)
	}
	return &Key{signer, public}
}

func logOf(t require.TestingT, records []Record) *testLog {
	entries := make([]Hash, len(records))
	for i, r := range records {
		entries[i] = r.Entry()
	}
	l := &testLog{key: testKey(), records: records, tiles: inMemory(entries)}
	var err error
	l.verifier, err = NewVerifier(l.key.Verifier())
	require.NoError(t, err)
	l.cp = l.checkpoint(t, uint64(len(records)))
	return l
}

func (l *testLog) checkpoint(t require.TestingT, size uint64) Checkpoint {
	root, err := Root(l.tiles, size)
	require.NoError(t, err)
	cp, err := l.key.Sign(size, root)
	require.NoError(t, err)
	return cp
}

// plain are records without a meaning.
func plain(n int) []Record {
	records := make([]Record, n)
	for i := range records {
		records[i] = Record{
			Sequence: uint64(i + 1),
			Subject:  fmt.Sprintf("incident.accepted.grid-east.inc-%d.r1", i),
			Header:   map[string][]string{"ce-time": {"2026-03-01T08:00:00.000Z"}, "ce-salt": {fmt.Sprintf("%032x", i)}},
			Body:     fmt.Appendf(nil, `{"title":"事件 %d"}`, i),
		}
	}
	return records
}

// removalOf returns the record that removes others, which are consecutive.
func removalOf(sequence uint64, gone ...Record) Record {
	entries := make([]Hash, len(gone))
	for i, r := range gone {
		entries[i] = r.Entry()
	}
	body, _ := json.Marshal(map[string]any{"first": gone[0].Sequence, "entries": entries, "why": "order"})
	return Record{Sequence: sequence, Subject: fmt.Sprintf("incident.removed.%d", gone[0].Sequence), Body: body}
}
