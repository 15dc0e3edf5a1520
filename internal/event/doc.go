// Package event is the vocabulary that everything else speaks: what a report
// says, what is decided of it, the records that are kept, their subjects, and
// how reports are read from CloudEvents.
//
// What it guarantees:
//   - A subject follows from what its record is about, and from nothing else:
//     the same cause names the same subject on every machine.
//   - Reading a report is strict and complete: whatever could mean two things
//     to two readers is refused, and every fault is named with its path.
//   - Two reports are the same when their data are the same as canonical JSON
//     (RFC 8785): formatting makes no difference to a digest.
//   - The JSON names of the shapes that leave the product are fixed; fields may
//     be added.
//
// It does no I/O and reads no clock.
package event
