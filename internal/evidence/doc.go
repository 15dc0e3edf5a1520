// Package evidence is a log that a stranger can verify: a tree of hashes over opaque
// entries (RFC 6962), kept as tiles and signed as checkpoints in the forms of C2SP
// (tlog-tiles, tlog-checkpoint, tlog-proof), with proofs that verify offline. It does not
// know where records are stored, and of their meaning only that some of them record the
// removal of others.
//
// One goroutine writes a Tree; any number may read its tiles meanwhile. After Write has
// returned, the tree can be opened at its size after any crash, and until then at the
// size of the previous Write: so a checkpoint is signed after Write, never before it.
// Memory stays flat. A tree is a pure function of its entries: rebuilt, it has the same
// root and the same files.
//
// Tiles are not trusted when they are read. ProveInclusion and CheckTiles check each
// against the hash above it and name the one that does not match; only a checkpoint can
// vouch for the right edge, so a proof must be verified before it is relied on.
//
// Package export writes parts of a log into folders that verify without it.
package evidence
