package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// CanonicalDigest returns the SHA-256, in hexadecimal, of the canonical form (RFC 8785)
// of JSON data: two texts that differ only in formatting have the same digest.
func CanonicalDigest(data []byte) (string, error) {
	canonical := jsontext.Value(bytes.Clone(data))
	err := canonical.Canonicalize()
	if err == nil && bytes.Contains(canonical, []byte(greatestNumber)) {
		err = checkNumbers(data)
	}
	if err != nil {
		return "", fmt.Errorf("canonical form (RFC 8785): %w", err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}

// greatestNumber is the canonical form of the greatest IEEE 754 double, and what the
// library makes of every greater number.
const greatestNumber = "1.7976931348623157e+308"

// checkNumbers refuses numbers beyond the range of an IEEE 754 double, which have no
// canonical form.
func checkNumbers(data []byte) error {
	for tokens := jsontext.NewDecoder(bytes.NewBuffer(data)); ; {
		token, err := tokens.ReadToken()
		if err == nil && token.Kind() == jsontext.KindNumber {
			_, err = strconv.ParseFloat(token.String(), 64)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
