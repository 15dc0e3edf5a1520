package evidence

import (
	"crypto/ed25519"
	"encoding/base32"
	"encoding/binary"
	"fmt"
)

// nkeyKind is the first byte of a public nkey, which gives the kind of its owner
// (https://github.com/nats-io/nkeys). An nkey is this byte, the Ed25519 key and a
// checksum of both in base32. It is parsed here rather than by the library, so that
// verifiers need few dependencies.
type nkeyKind byte

const (
	nkeyOperator nkeyKind = 14 << 3 // O…, issues credentials
	nkeyServer   nkeyKind = 13 << 3 // N…, signs receipts
	nkeyUser     nkeyKind = 20 << 3 // U…, a credential
)

var nkeyText = base32.StdEncoding.WithPadding(base32.NoPadding)

// letter returns the first letter of the nkeys of a kind.
func (k nkeyKind) letter() string { return nkeyText.EncodeToString([]byte{byte(k), 0, 0, 0, 0})[:1] }

func encodeNkey(kind nkeyKind, key ed25519.PublicKey) string {
	raw := append([]byte{byte(kind)}, key...)
	return nkeyText.EncodeToString(binary.LittleEndian.AppendUint16(raw, checksum(raw)))
}

// decodeNkey accepts exactly what encodeNkey writes.
func decodeNkey(kind nkeyKind, text string) (ed25519.PublicKey, error) {
	raw, err := nkeyText.DecodeString(text)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize+2 || raw[0] != byte(kind) || encodeNkey(kind, raw[1:len(raw)-2]) != text {
		return nil, fmt.Errorf("%q is no public nkey that begins with %s", text, kind.letter())
	}
	return raw[1 : len(raw)-2], nil
}

// checksum is CRC-16/XMODEM.
func checksum(raw []byte) (sum uint16) {
	for _, b := range raw {
		sum ^= uint16(b) << 8
		for range 8 {
			if sum&0x8000 != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

// verifyNkey verifies a signature with an nkey of a kind.
func verifyNkey(kind nkeyKind, key string, text, signature []byte) error {
	public, err := decodeNkey(kind, key)
	if err != nil {
		return err
	}
	if !ed25519.Verify(public, text, signature) {
		return fmt.Errorf("the signature is not by %s", key)
	}
	return nil
}
