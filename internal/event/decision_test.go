package event

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSurest(t *testing.T) {
	t.Parallel()
	const text, secondary, unverified = ConfidenceText, ConfidenceSecondary, ConfidenceUnverified
	require.Equal(t, text, Surest(nil, 1))
	for n, want := range map[int]Confidence{1: text, 2: secondary, 3: unverified, 4: unverified} {
		require.Equal(t, want, Surest([]Confidence{unverified, text, secondary}, n), n)
	}
	require.Equal(t, ConfidenceInterpretation, Weakest(secondary, ConfidenceInterpretation, text))
}
