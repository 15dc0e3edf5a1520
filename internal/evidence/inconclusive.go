package evidence

import (
	"errors"
	"fmt"
)

// ErrUncertified says that a receipt has no certificate, so that nothing says whose
// its key is.
var ErrUncertified = errors.New("it has no certificate of the log: send the same report again for a receipt that has one")

// ErrNewer says that something is written in a format that this program does not know.
var ErrNewer = errors.New("a newer program made it: verify it with a newer tocsin-verify")

// ErrMalformed says that a text is not written in its format, so that there is nothing
// to compare with a signature. Mail that wraps lines damages a text like this; a forger
// writes what can be read.
var ErrMalformed = errors.New("mail or an editor may have damaged it: get the file again, as an attachment or in an archive")

// malformed marks an error as ErrMalformed.
func malformed(err error) error { return fmt.Errorf("%w (%w)", err, ErrMalformed) }

// Inconclusive reports whether an error says that something could not be verified,
// which says nothing against it.
func Inconclusive(err error) bool {
	return errors.Is(err, ErrUncertified) || errors.Is(err, ErrNewer) || errors.Is(err, ErrMalformed)
}
