// Package export writes a part of a log into a folder that anybody can verify offline:
// the records, the tiles that prove each of them, the signed checkpoint, the rules that
// decided, and a manifest with the hash of every file.
//
// A Writer adds only what matches the tree, and writes the manifest last: a folder
// without one is incomplete. Verify trusts nothing in a folder but the key that its caller
// brings. It reports every fault at once, by file and record, and tells apart what is
// wrong, what could not be checked, and what mail or an editor has damaged without
// altering the content.
package export
