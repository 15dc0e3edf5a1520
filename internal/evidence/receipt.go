package evidence

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The formats of a receipt's leaf, each of which begins with its name. In the first a
// leaf was the hash of the receipt alone, so that the sibling hashes in another receipt
// let a reader confirm a guess at its content. In the second each leaf has a nonce that
// only its own receipt carries. headFormat prefixes the signed text.
const (
	receiptFormat1 = "tocsin/receipt/1"
	receiptFormat2 = "tocsin/receipt/2"
	headFormat     = "\xfftocsin/receipts/1\n"
)

// nonceSize is the length of a nonce in bytes.
const nonceSize = 16

// certificateFormat is the first line of the note in which the log certifies a key that
// signs receipts. No checkpoint begins like this: its first line is the log's name.
const certificateFormat = "tocsin/certificate/1"

// Receipt is intake's statement: which operator sent which report, when, with what
// result, and in which record.
type Receipt struct {
	Status     string     `json:"status"`
	Operator   string     `json:"operator"`
	Incident   string     `json:"incident"`
	Report     string     `json:"report"`
	Source     string     `json:"source,omitempty"` // of the CloudEvent; Report is unique in it
	Type       string     `json:"type,omitempty"`   // of the CloudEvent
	Digest     string     `json:"digest,omitempty"` // of the event's data (RFC 8785), SHA-256 in hex
	ReceivedAt *time.Time `json:"receivedAt,omitempty"`
	Record     uint64     `json:"record,omitempty"`
	Entry      *Hash      `json:"entry,omitempty"`
	Exercise   bool       `json:"exercise,omitempty"`
	Durability string     `json:"durability,omitempty"` // "unverified": nothing confirmed that it was on disk
}

// Attested returns the receipt reduced to what intake vouches for. In a conflict, time
// and record are those of the report already stored under the id, not of this one.
func (r Receipt) Attested() Receipt {
	if r.Status == "conflict" {
		r.ReceivedAt, r.Record, r.Entry = nil, 0, nil
	}
	return r
}

// SignedReceipt proves to anybody who has the key of the log that intake issued a
// receipt. Receipts of one moment are signed together, as the head of a tree (RFC 6962)
// in which each is a leaf.
type SignedReceipt struct {
	Format    string `json:"format,omitempty"` // absent: tocsin/receipt/1
	Nonce     []byte `json:"nonce,omitempty"`  // hides the leaf from readers of other receipts
	Key       string `json:"key"`              // intake's nkey
	Signature []byte `json:"signature"`        // by Key, over Size and the root
	Index     uint64 `json:"index"`            // of the receipt, from 0
	Size      uint64 `json:"size"`             // number of receipts signed together
	Path      Hashes `json:"path,omitempty"`   // from the leaf's sibling up to below the root
	// Certificate is the log's signed note that Key signs receipts. It is missing where
	// the log did not answer in time: the same report sent again gets a receipt that has
	// it.
	Certificate string `json:"certificate,omitempty"`
}

// headText is the signed text of receipts that are signed together.
func headText(size uint64, root Hash) []byte {
	return fmt.Appendf(nil, "%s%d\n%s\n", headFormat, size, root)
}

// text renders the leaf of a receipt in the canonical form of its format: names and
// values, one on each line. The first format has no nonce.
func (r Receipt) text(nonce []byte) []byte {
	r = r.Attested()
	b := make([]byte, 0, 512)
	if nonce == nil {
		b = append(b, receiptFormat1+"\n"...)
	} else {
		b = append(b, receiptFormat2+"\nnonce "...)
		b = append(base64.StdEncoding.AppendEncode(b, nonce), '\n')
	}
	line := func(name, value string) {
		if value != "" {
			if !utf8.ValidString(value) {
				value = string([]rune(value)) // as encoding/json writes it
			}
			b = append(quote(append(append(b, name...), ' '), value), '\n')
		}
	}
	line("status", r.Status)
	line("operator", r.Operator)
	line("incident", r.Incident)
	line("report", r.Report)
	line("source", r.Source)
	line("type", r.Type)
	line("digest", r.Digest)
	if r.ReceivedAt != nil {
		line("receivedAt", r.ReceivedAt.UTC().Format(time.RFC3339Nano))
	}
	if r.Record > 0 {
		line("record", strconv.FormatUint(r.Record, 10))
	}
	if r.Entry != nil {
		line("entry", r.Entry.String())
	}
	if r.Exercise {
		line("exercise", "true")
	}
	line("durability", r.Durability)
	return b
}

// ReceiptKey signs receipts. It is created at each start of intake and never leaves its
// memory: there is nothing on disk to steal, and each receipt carries the log's
// certificate of the key that signed it.
type ReceiptKey struct {
	private ed25519.PrivateKey
	public  string
}

// NewReceiptKey creates a key.
func NewReceiptKey() *ReceiptKey {
	seed := make([]byte, ed25519.SeedSize)
	_, _ = rand.Read(seed) // never fails: it would end the process
	private := ed25519.NewKeyFromSeed(seed)
	return &ReceiptKey{private, encodeNkey(nkeyServer, private.Public().(ed25519.PublicKey))}
}

// Public returns the signer's nkey.
func (k *ReceiptKey) Public() string { return k.public }

// Sign signs receipts with one signature; certificate is the log's certificate of the
// key, empty while there is none.
func (k *ReceiptKey) Sign(receipts []Receipt, certificate string) []*SignedReceipt {
	if len(receipts) == 0 {
		return nil
	}
	leaves := make([]tlog.Hash, len(receipts))
	nonces := make([]byte, nonceSize*len(receipts))
	_, _ = rand.Read(nonces) // never fails: it ends the process instead
	nonce := func(i int) []byte { return nonces[i*nonceSize : (i+1)*nonceSize : (i+1)*nonceSize] }
	for i, r := range receipts {
		leaves[i] = tlog.RecordHash(r.text(nonce(i)))
	}
	paths := make([]Hashes, len(leaves))
	depth := bits.Len64(uint64(len(leaves) - 1))
	room := make(Hashes, depth*len(leaves))
	for i := range paths {
		paths[i] = room[i*depth : i*depth : (i+1)*depth]
	}
	root, size := Hash(treeOver(leaves, paths)), uint64(len(leaves))
	signature := ed25519.Sign(k.private, headText(size, root))
	out := make([]*SignedReceipt, len(leaves))
	for i := range out {
		out[i] = &SignedReceipt{
			Format: receiptFormat2, Nonce: nonce(i), Key: k.public, Signature: signature,
			Index: uint64(i), Size: size, Path: paths[i], Certificate: certificate,
		}
	}
	return out
}

// treeOver returns the root over leaves, and appends to the path of each the hashes
// between it and that root (RFC 6962, section 2.1).
func treeOver(leaves []tlog.Hash, paths []Hashes) tlog.Hash {
	if len(leaves) == 1 {
		return leaves[0]
	}
	half := int(halfOf(uint64(len(leaves))))
	left, right := treeOver(leaves[:half], paths[:half]), treeOver(leaves[half:], paths[half:])
	for i := range paths {
		sibling := right
		if i >= half {
			sibling = left
		}
		paths[i] = append(paths[i], Hash(sibling))
	}
	return tlog.NodeHash(left, right)
}

// halfOf returns the greatest power of two below a size above 1.
func halfOf(size uint64) uint64 { return 1 << (bits.Len64(size-1) - 1) }

// rootOver returns the root of treeOver from one leaf and its path (RFC 6962, section
// 2.1.1); false where the path does not fit such a leaf.
func rootOver(leaf tlog.Hash, index, size uint64, path Hashes) (root tlog.Hash, ok bool) {
	if size <= 1 || len(path) == 0 {
		return leaf, size == 1 && len(path) == 0
	}
	half, sibling := halfOf(size), tlog.Hash(path[len(path)-1])
	path = path[:len(path)-1]
	if index < half {
		root, ok = rootOver(leaf, index, half, path)
		return tlog.NodeHash(root, sibling), ok
	}
	root, ok = rootOver(leaf, index-half, size-half, path)
	return tlog.NodeHash(sibling, root), ok
}

// CertifyReceipts signs the statement that a key signs the receipts of reports to this
// log.
func (k *Key) CertifyReceipts(key string) (string, error) {
	if _, err := decodeNkey(nkeyServer, key); err != nil {
		return "", fmt.Errorf("evidence: %w", err)
	}
	signed, err := note.Sign(&note.Note{Text: certificateText(k.Origin(), key)}, k.signer)
	if err != nil {
		return "", fmt.Errorf("evidence: certificate: %w", err)
	}
	return string(signed), nil
}

func certificateText(origin, key string) string {
	return certificateFormat + "\n" + origin + "\nreceipts " + key + "\n"
}

// nonce returns the nonce of the receipt's leaf, nil in the first format.
func (s *SignedReceipt) nonce() ([]byte, error) {
	switch {
	case s.Format != "" && s.Format != receiptFormat1 && s.Format != receiptFormat2:
		return nil, fmt.Errorf("its format is %q: %w", s.Format, ErrNewer)
	case s.Format == receiptFormat2 && len(s.Nonce) != nonceSize:
		return nil, fmt.Errorf("its nonce has %d bytes, not %d", len(s.Nonce), nonceSize)
	case s.Format == receiptFormat2:
		return s.Nonce, nil
	case len(s.Nonce) > 0:
		return nil, fmt.Errorf("it has a nonce, which %s does not have", receiptFormat1)
	}
	return nil, nil
}

// VerifyReceipt verifies a receipt, as JSON, with the key of the log.
func (v Verifier) VerifyReceipt(raw []byte) (Receipt, error) {
	var in struct {
		Receipt
		Signed *SignedReceipt `json:"signed"`
	}
	if err := Decode(raw, &in); err != nil {
		return Receipt{}, fmt.Errorf("evidence: not a receipt: %w", MalformedJSON(raw, err))
	}
	switch {
	case v.key == nil:
		return Receipt{}, errors.New("evidence: receipt: no verifier key is given")
	case in.Signed == nil:
		return Receipt{}, errors.New("evidence: receipt: it is not signed")
	case in.Signed.Certificate == "":
		return Receipt{}, fmt.Errorf("evidence: receipt: %w", ErrUncertified)
	}
	h := in.Signed
	nonce, err := h.nonce()
	if err != nil {
		return Receipt{}, fmt.Errorf("evidence: receipt: %w", err)
	}
	if err := checkCertificate(h.Certificate); err != nil {
		return Receipt{}, fmt.Errorf("evidence: receipt: its certificate: %w", err)
	}
	n, err := note.Open([]byte(in.Signed.Certificate), note.VerifierList(v.key))
	switch {
	case errors.As(err, new(*note.UnverifiedNoteError)), errors.As(err, new(*note.InvalidSignatureError)):
		return Receipt{}, fmt.Errorf("evidence: receipt: its certificate is not signed with the key of %s that is given", v.Origin())
	case err != nil:
		return Receipt{}, fmt.Errorf("evidence: receipt: its certificate: %w", malformed(err))
	}
	if err := checkSignatures(in.Signed.Certificate, n); err != nil {
		return Receipt{}, err
	}
	if n.Text != certificateText(v.Origin(), in.Signed.Key) {
		return Receipt{}, fmt.Errorf("evidence: receipt: its certificate does not say that %s signs receipts of %s", in.Signed.Key, v.Origin())
	}
	root, ok := rootOver(tlog.RecordHash(in.text(nonce)), h.Index, h.Size, h.Path)
	if !ok || h.Size > MaxSize || h.Index >= h.Size || verifyNkey(nkeyServer, h.Key, headText(h.Size, Hash(root)), h.Signature) != nil {
		return Receipt{}, errors.New("evidence: receipt: it is not what was signed")
	}
	return in.Attested(), nil
}

// checkCertificate refuses the certificate of a newer program.
func checkCertificate(text string) error {
	first, _, _ := strings.Cut(text, "\n")
	if kind, _, _ := strings.Cut(certificateFormat, "1"); strings.HasPrefix(first, kind) && first != certificateFormat {
		return fmt.Errorf("its format is %q: %w", first, ErrNewer)
	}
	return nil
}

// MalformedJSON marks an error as ErrMalformed where the text is not JSON at all, or
// contains base64 that cannot be decoded.
func MalformedJSON(raw []byte, err error) error {
	if json.Valid(raw) && !errors.As(err, new(base64.CorruptInputError)) {
		return err
	}
	return malformed(err)
}

// CheckEvent checks that a receipt is of a given CloudEvent, in JSON, and that the
// event was accepted.
func (r Receipt) CheckEvent(event []byte) error {
	if r.Status != "accepted" && r.Status != "duplicate" {
		return fmt.Errorf("the receipt says %q: nothing was taken under it", r.Status)
	}
	var e struct {
		ID      string         `json:"id"`
		Source  string         `json:"source"`
		Type    string         `json:"type"`
		Subject string         `json:"subject"`
		Data    jsontext.Value `json:"data"`
		Data64  []byte         `json:"data_base64"`
	}
	if err := Decode(event, &e); err != nil {
		return fmt.Errorf("it is not a CloudEvent in JSON: %w", err)
	}
	if e.Data64 != nil { // then data is absent or null
		e.Data = e.Data64
	}
	digest, err := CanonicalDigest(e.Data)
	if err != nil {
		return fmt.Errorf("its data: %w", err)
	}
	if e.ID != r.Report || e.Source != r.Source || e.Type != r.Type || e.Subject != r.Incident || digest != r.Digest {
		return fmt.Errorf("it is %s %q from %s on incident %q with the digest %s: the receipt is of another", e.Type, e.ID, e.Source, e.Subject, digest)
	}
	return nil
}

// IsReceipt reports whether a text is the JSON of a receipt, or begins with one.
func IsReceipt(text string) bool {
	if !strings.HasPrefix(strings.TrimSpace(text), "{") {
		return false
	}
	var in struct {
		Status *string `json:"status"`
		Report *string `json:"report"`
	}
	return json.NewDecoder(strings.NewReader(text)).Decode(&in) == nil && in.Status != nil && in.Report != nil
}
