// Package evidence is a log that a stranger can check: a tree of hashes over
// opaque entries (RFC 6962), kept as tiles and signed as checkpoints in the forms
// of C2SP (tlog-tiles, tlog-checkpoint, tlog-proof), with proofs that verify
// offline. It knows nothing of where records are stored, and of their meaning
// only that some of them say that others were removed.
package evidence
