package evidence

import (
	"errors"
	"fmt"
)

// ErrUncertified means that a receipt has no certificate, so that nothing shows who its
// key belongs to.
var ErrUncertified = errors.New("it has no certificate of the log: send the same report again for a receipt that has one")

// ErrNewer means that something is written in a format that this program does not know.
var ErrNewer = errors.New("a newer program made it: verify it with a newer tocsin-verify")

// ErrMalformed means that a text does not follow its format, so that there is nothing to
// verify a signature of. Mail that wraps lines causes such damage; a forgery would be
// readable.
var ErrMalformed = errors.New("mail or an editor may have damaged it: get the file again, as an attachment or in an archive")

// malformed marks an error as ErrMalformed.
func malformed(err error) error { return fmt.Errorf("%w (%w)", err, ErrMalformed) }

// Inconclusive reports whether an error means that something could not be verified, which
// is no evidence against it.
func Inconclusive(err error) bool {
	return errors.Is(err, ErrUncertified) || errors.Is(err, ErrNewer) || errors.Is(err, ErrMalformed)
}
