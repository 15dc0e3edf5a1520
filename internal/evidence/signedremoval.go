package evidence

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// removalFormat prefixes the text that an administrator signs: the endpoint of the
// request, with the realm's prefix, a newline, and the request as sent.
const removalFormat = "\xfftocsin/removal/1\n"

// adminRole prefixes the id of an administrator among the identities.
const adminRole = "admin/"

// The endpoints that take removals.
const (
	removeEndpoint  = "ledger.remove"
	archiveEndpoint = "ledger.archive"
)

// RemovalText returns the text that an administrator signs of a request to remove or to
// archive records: endpoint is the endpoint, with "exercise." before it in a drill.
func RemovalText(endpoint string, sent []byte) []byte {
	return append([]byte(removalFormat+endpoint+"\n"), sent...)
}

// removalReasons has, for each reason of a removal, the endpoint of its request and the
// members of the request.
var removalReasons = map[string]struct {
	endpoint string
	members  []string
}{
	"order":     {removeEndpoint, []string{"order", "officer", "reason", "record", "log", "signedAt"}},
	"retention": {archiveEndpoint, []string{"export", "officer", "first", "last", "log", "signedAt"}},
}

// repeatedMembers are the members of a request that the record of the removal repeats.
var repeatedMembers = []string{"order", "export", "officer", "reason"}

// VerifyRemoval verifies an administrator's signed request against the record of a
// removal in the log of this name ("" for any): that the administrator requested it, for
// these records, and in these words. The tree shows which records were removed.
func (s SignedAct) VerifyRemoval(log, subject string, body []byte) error {
	if s.Format != "" {
		return fmt.Errorf("the removal by %s has the format %q: %w", s.By, s.Format, ErrNewer)
	}
	first, entries, ok := Record{Subject: subject, Body: body}.Removal()
	if !ok {
		return fmt.Errorf("%s is no removal", subject)
	}
	if !strings.HasPrefix(s.By, adminRole) {
		return fmt.Errorf("it is a removal, and signed by %s, which is no administrator", s.By)
	}
	sent, err := membersOf([]byte(s.Sent))
	if err != nil {
		return fmt.Errorf("what was signed is not one JSON object: %w", err)
	}
	kept, err := membersOf(body)
	if err != nil {
		return fmt.Errorf("the record is not one JSON object: %w", err)
	}
	why, _ := kept["why"].(string)
	reason, ok := removalReasons[why]
	if !ok {
		return fmt.Errorf("the removal is for the reason %q: %w", why, ErrNewer)
	}
	endpoint := reason.endpoint
	if strings.HasPrefix(subject, DrillPrefix) {
		endpoint = DrillPrefix + endpoint
	}
	if err := s.verifyKey(); err != nil {
		return err
	}
	if err := verifyNkey(nkeyUser, s.Key, RemovalText(endpoint, []byte(s.Sent)), s.Signature); err != nil {
		return fmt.Errorf("the removal by %s: %w", s.By, err)
	}
	for name := range sent {
		if !slices.Contains(reason.members, name) {
			return fmt.Errorf("$.%s of what was signed is no member of a request to remove", name)
		}
	}
	for _, name := range repeatedMembers {
		if !sameValue(name, sent[name], kept[name]) {
			return fmt.Errorf("$.%s is not as it was signed", name)
		}
	}
	if err := checkSigning(log, sent); err != nil {
		return err
	}
	return removesWithin(why, sent, first, uint64(len(entries)))
}

// removesWithin checks that a removal of so many entries from first on is part of the
// request.
func removesWithin(why string, sent map[string]any, first, entries uint64) error {
	from, last := sent["first"], sent["last"]
	if why == "order" {
		from, last = sent["record"], sent["record"]
	}
	low, okLow := sequenceOf(from)
	high, okHigh := sequenceOf(last)
	if !okLow || !okHigh || entries == 0 || first < low || first > high || entries-1 > high-first {
		return errors.New("it removes other records than were signed for")
	}
	return nil
}

func sequenceOf(v any) (uint64, bool) {
	n, ok := v.(float64)
	if !ok || n < 1 || n >= 1<<53 || n != float64(uint64(n)) {
		return 0, false
	}
	return uint64(n), true
}

// SignedAt returns the identity's own claim of when it signed; zero where there is none.
func (s SignedAct) SignedAt() time.Time {
	sent, err := membersOf([]byte(s.Sent))
	if err != nil {
		return time.Time{}
	}
	at, _ := instantOf(sent["signedAt"])
	return at
}
