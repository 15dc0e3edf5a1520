package evidence

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Text that is signed with an nkey begins with a byte that no text contains. A NATS
// client signs, with the same key, any text that its server challenges it with, and no
// such text can be one of these.
const (
	actPrefix    = "\xff"                  // format, newline, subject of the record, newline, the message as sent
	keyFormat    = "\xfftocsin/key/1\n"    // ROLE/ID, newline, nkey
	signerFormat = "\xfftocsin/signer/1\n" // nkey
)

// deskRole prefixes the id of a desk among the identities.
const deskRole = "desk/"

// The formats of a signed act. In the second the act contains, as "log" and "signedAt",
// for which log it was signed and when, by the desk's own clock.
const (
	ActFormat1 = "tocsin/act/1"
	ActFormat2 = "tocsin/act/2"
)

// ActText returns the text that a desk signs: its message, and the subject, as stored in
// the stream, of the record to be made of it.
func ActText(format, subject string, sent []byte) []byte {
	return append([]byte(actPrefix+format+"\n"+subject+"\n"), sent...)
}

// KeyText is the text that the issuer of credentials signs: that an nkey belongs to
// ROLE/ID.
func KeyText(who, key string) []byte { return []byte(keyFormat + who + "\n" + key) }

// SignerText is the text that the operator's key signs to let another key issue
// credentials in its name, so that the operator's key can be kept offline.
func SignerText(signer string) []byte { return []byte(signerFormat + signer) }

// SignedAct proves, inside the record of an act, which identity acted. Neither the keeper
// of the log nor the user of a borrowed connection can forge one: it takes the key of the
// identity's credential.
type SignedAct struct {
	Format      string `json:"format,omitempty"`     // of an act; absent: tocsin/act/1
	By          string `json:"by"`                   // ROLE/ID
	Key         string `json:"key"`                  // nkey of By
	Signature   []byte `json:"signature"`            // by Key, over the record's subject and Sent
	Sent        string `json:"sent"`                 // JSON, byte for byte as sent
	Identities  string `json:"identities"`           // nkey of the operator, the root of every credential
	Certificate []byte `json:"certificate"`          // that Key belongs to By: by Signer, or by Identities where there is none
	Signer      string `json:"signer,omitempty"`     // nkey that issues credentials for Identities
	Delegation  []byte `json:"delegation,omitempty"` // by Identities, that Signer does
}

// verifyKey verifies that Key belongs to By, in the name of Identities.
func (s SignedAct) verifyKey() error {
	signer := s.Identities
	if s.Signer != "" {
		signer = s.Signer
		if err := verifyNkey(nkeyOperator, s.Identities, SignerText(signer), s.Delegation); err != nil {
			return fmt.Errorf("that %s gives out credentials for %s: %w", signer, s.Identities, err)
		}
	}
	if err := verifyNkey(nkeyOperator, signer, KeyText(s.By, s.Key), s.Certificate); err != nil {
		return fmt.Errorf("that the key is of %s: %w", s.By, err)
	}
	return nil
}

// actKinds are the records that desks make.
var actKinds = []string{"acknowledged", "asked", "determined", "transferred", "confirmed", "closed"}

// actInstant is the member of an act that is an instant.
const actInstant = "dueAt"

// serverMembers are the members of such a record that the desk did not send.
var serverMembers = []string{"at", "acknowledgeBy", "signed"}

// deskOfAct returns the desk whose act the record of a subject is.
func deskOfAct(subject string) (desk string, ok bool) {
	parts := strings.Split(strings.TrimPrefix(subject, DrillPrefix), ".")
	if len(parts) < 4 || parts[0] != "incident" || !slices.Contains(actKinds, parts[1]) {
		return "", false
	}
	return parts[2], true
}

// Verify verifies the signed message against its record in the log of this name ("" for
// any), without the record's stamps: its subject, every member of its body, and which
// desk signed.
func (s SignedAct) Verify(log, subject string, body []byte) error {
	format := cmp.Or(s.Format, ActFormat1)
	desk, ok := deskOfAct(subject)
	switch {
	case format != ActFormat1 && format != ActFormat2:
		return fmt.Errorf("the act of %s has the format %q: %w", s.By, format, ErrNewer)
	case !ok:
		return fmt.Errorf("%s is no act of a desk", subject)
	case s.By != deskRole+desk:
		return fmt.Errorf("it is an act of desk/%s, and signed by %s", desk, s.By)
	}
	if err := s.verifyKey(); err != nil {
		return err
	}
	if err := verifyNkey(nkeyUser, s.Key, ActText(format, subject, []byte(s.Sent)), s.Signature); err != nil {
		return fmt.Errorf("the act of %s: %w", s.By, err)
	}
	sent, err := membersOf([]byte(s.Sent))
	if err != nil {
		return fmt.Errorf("what was signed is not one JSON object: %w", err)
	}
	if format == ActFormat2 {
		if err := checkSigning(log, sent); err != nil {
			return err
		}
		delete(sent, "log")
		delete(sent, "signedAt")
	}
	return compareMembers(sent, body)
}

// checkSigning checks that the signed message names the log ("" for any) and the time.
func checkSigning(log string, sent map[string]any) error {
	if of, _ := sent["log"].(string); of == "" || log != "" && of != log {
		return fmt.Errorf("it was signed for the log %q, not for %q", of, log)
	}
	if _, ok := instantOf(sent["signedAt"]); !ok {
		return errors.New("what was signed does not say when")
	}
	return nil
}

// compareMembers checks that a body contains what was sent, no less and no more.
func compareMembers(sent map[string]any, body []byte) error {
	kept, err := membersOf(body)
	if err != nil {
		return fmt.Errorf("the record is not one JSON object: %w", err)
	}
	names := slices.Concat(slices.Collect(maps.Keys(sent)), slices.Collect(maps.Keys(kept)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if !slices.Contains(serverMembers, name) && !sameValue(name, sent[name], kept[name]) {
			return fmt.Errorf("$.%s is not as it was signed", name)
		}
	}
	return nil
}

func membersOf(raw []byte) (map[string]any, error) {
	var members map[string]any
	if err := Decode(raw, &members); err != nil {
		return nil, err
	}
	if members == nil {
		return nil, errors.New("want an object")
	}
	return members, nil
}

// sameValue compares values of a member. An empty value equals an absent one, and the
// instant of an act may be written in any zone.
func sameValue(name string, a, b any) bool {
	if isEmpty(a) && isEmpty(b) || reflect.DeepEqual(a, b) {
		return true
	}
	if name != actInstant {
		return false
	}
	one, ok := instantOf(a)
	other, also := instantOf(b)
	return ok && also && one.Equal(other)
}

func isEmpty(v any) bool { return v == nil || v == "" }

func instantOf(v any) (time.Time, bool) {
	text, ok := v.(string)
	if !ok {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	return t, err == nil
}

// Act tells who performed an act of a desk or an administrator.
type Act struct {
	Desk   string     // the desk whose act it is; empty: a removal, by an administrator
	Signed *SignedAct // nil: not signed
}

// Acts counts the acts of desks, or the removals of administrators, by what proves who
// performed them.
type Acts struct {
	Signed   uint64 `json:"signed"`
	Unsigned uint64 `json:"unsigned"` // only the log's own word
	// By are the identities that signed, and Identities the nkeys that issued their
	// credentials.
	By         []string `json:"by,omitempty"`
	Identities []string `json:"identities,omitempty"`
}

// Add counts one act.
func (a *Acts) Add(act *Act) {
	if act.Signed == nil {
		a.Unsigned++
		return
	}
	a.Signed++
	if !slices.Contains(a.By, act.Signed.By) {
		a.By = append(a.By, act.Signed.By)
	}
	if !slices.Contains(a.Identities, act.Signed.Identities) {
		a.Identities = append(a.Identities, act.Signed.Identities)
	}
}

// WithIdentities returns a Verifier that requires acts of desks to be signed with a key
// issued by the holder of this nkey.
func (v Verifier) WithIdentities(key string) (Verifier, error) {
	if _, err := decodeNkey(nkeyOperator, key); err != nil {
		return v, fmt.Errorf("evidence: %w: tocsin credential key prints it", err)
	}
	v.identities = key
	return v, nil
}

// ActOf returns the act that a record contains, nil if it contains none, and an error if
// the signature is not valid. A removal without a signature is not an error: earlier
// versions of the log did not require one.
func (v Verifier) ActOf(r Record) (*Act, error) {
	act, err := v.parseAct(r)
	switch {
	case err != nil || act == nil || v.identities == "":
		return act, err
	case act.Signed == nil && act.Desk == "":
		return act, nil
	case act.Signed == nil:
		return act, fmt.Errorf("it is an act of desk/%s, and the desk has not signed it", act.Desk)
	case act.Signed.Identities != v.identities:
		return act, fmt.Errorf("it is signed by %s, whose credential %s gave out and not %s", act.Signed.By, act.Signed.Identities, v.identities)
	}
	return act, nil
}

// checkUnknownAct returns ErrNewer for a record that an identity has signed and whose
// kind this program does not know.
func (r Record) checkUnknownAct() error {
	if !bytes.Contains(r.Body, []byte(`"signed"`)) {
		return nil
	}
	var body struct {
		Signed struct {
			By string `json:"by"`
		} `json:"signed"`
	}
	if json.Unmarshal(r.Body, &body) != nil || body.Signed.By == "" {
		return nil
	}
	return fmt.Errorf("%s has signed a record of a kind that is not known (%s): %w", body.Signed.By, r.Subject, ErrNewer)
}

func (v Verifier) parseAct(r Record) (*Act, error) {
	desk, isAct := deskOfAct(r.Subject)
	_, _, isRemoval := r.Removal()
	if !isAct && !isRemoval {
		return nil, r.checkUnknownAct()
	}
	var body struct {
		Signed *SignedAct `json:"signed"`
	}
	if err := Decode(r.Body, &body); err != nil {
		return nil, fmt.Errorf("the act cannot be decoded: %w", err)
	}
	if body.Signed == nil {
		return &Act{Desk: desk}, nil
	}
	var err error
	if isRemoval {
		err = body.Signed.VerifyRemoval(v.Origin(), r.Subject, r.Body)
	} else {
		err = body.Signed.Verify(v.Origin(), r.Subject, r.Body)
	}
	if err != nil {
		return nil, err
	}
	return &Act{desk, body.Signed}, nil
}
