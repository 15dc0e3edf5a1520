// Package event is the vocabulary of the product: reports, the decisions on them, the
// records, their subjects, and how reports are read from CloudEvents.
//
// What it guarantees:
//   - A subject follows from the content of its record and from nothing else: the
//     same cause names the same subject on every machine.
//   - Reading a report is strict and complete: input that two readers could
//     understand differently is refused, and every fault is named with its path.
//   - Two reports are the same when their data are the same as canonical JSON
//     (RFC 8785): formatting makes no difference to a digest.
//   - The JSON names of the types that leave the product are fixed; fields may
//     be added.
//
// It does no I/O and reads no clock.
package event
