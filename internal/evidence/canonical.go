package evidence

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/gowebpki/jcs"
)

// CanonicalDigest returns the SHA-256, in hexadecimal, of the canonical form (RFC 8785)
// of JSON data: two texts that differ only in formatting have the same digest.
func CanonicalDigest(data []byte) (string, error) {
	canonical, err := jcs.Transform(data)
	if err != nil {
		return "", fmt.Errorf("canonical form (RFC 8785): %w", err)
	}
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:]), nil
}
