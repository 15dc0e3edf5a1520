package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// The example of RFC 8785, section 3.2, with its canonical form; and the orders and
// numbers in which implementations differ.
func TestCanonicalDigest_RFC8785(t *testing.T) {
	t.Parallel()
	for text, canonical := range map[string]string{
		`{
			"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
			"string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
			"literals": [null, true, false]
		}`: `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
		// Names are sorted by UTF-16, in which U+1F600 comes before U+FB33.
		`{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}`:       "{\"\\r\":2,\"1\":4,\"\u0080\":6,\"ö\":7,\"€\":1,\"😀\":5,\"\ufb33\":3}",
		`[-0, -0.0, 1e21, 999999999999999900000, 9007199254740993, 5e-324, 1e-7, 0.000001]`: `[0,0,1e+21,999999999999999900000,9007199254740992,5e-324,1e-7,0.000001]`,
		`[1.7976931348623157e308]`:    `[1.7976931348623157e+308]`,
		`["1.7976931348623157e+308"]`: `["1.7976931348623157e+308"]`,
	} {
		sum := sha256.Sum256([]byte(canonical))
		digest, err := CanonicalDigest([]byte(text))
		require.NoError(t, err, text)
		require.Equal(t, hex.EncodeToString(sum[:]), digest, text)
	}
}

func TestCanonicalDigest_RefusesWhatHasNone(t *testing.T) {
	t.Parallel()
	for _, text := range []string{``, `{"a":1,"a":2}`, `["\ud800"]`, "[\"\xff\"]", `[1e309]`, `[1.7976931348623157e308,-1e400]`, `{} {}`, `{"a":}`} {
		_, err := CanonicalDigest([]byte(text))
		require.Error(t, err, text)
	}
}
