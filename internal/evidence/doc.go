// Package evidence is a log that a stranger can check: a tree of hashes over
// opaque entries (RFC 6962), kept as tiles and signed as checkpoints in the forms
// of C2SP (tlog-tiles, tlog-checkpoint, tlog-proof), with proofs that verify
// offline. It knows nothing of where records are stored, and of their meaning
// only that some of them say that others were removed.
//
// One goroutine writes a Tree; any number may read its tiles meanwhile. When Write
// has returned, the tree can be opened at its size after any crash, and until then
// at the size of the Write before: so a checkpoint is signed after Write, never
// before it. Memory stays flat. A tree is a pure function of its entries: made
// anew it has the same root and the same files.
//
// Tiles are not trusted when they are read. ProveInclusion and CheckTiles hold
// each to the hash above it and name the one that does not fit; what is at the
// right edge only a checkpoint can vouch for, so a proof is worth what its
// verification says.
package evidence
