// Package event is the vocabulary of the product: records, their bodies and subjects, the
// decisions in them, and the units that they count in.
//
// What it guarantees:
//   - A subject follows from the content of its record and from nothing else: the
//     same cause names the same subject on every machine.
//   - The JSON names of the types that leave the product are fixed; fields may
//     be added.
//   - What an earlier version wrote is still read.
//
// How a report is read from a CloudEvent is in package cloudevent; what endpoints are asked
// and answer is in package api. It does no I/O and reads no clock.
package event
