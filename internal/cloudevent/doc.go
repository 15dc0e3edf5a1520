// Package cloudevent reads reports from CloudEvents 1.0: out of NATS messages, HTTP
// requests, files and streams of JSON, in structured, batch and binary mode.
//
// What it guarantees:
//   - Reading is strict and complete: input that two readers could understand differently
//     is refused, and every fault is named with its path.
//   - Two reports are the same when their data are the same as canonical JSON (RFC 8785):
//     formatting makes no difference to a digest.
//   - The cost of a refusal is bounded: in size, depth, values and listed faults.
//   - A parsed event shares no memory with its input.
//
// The schemas of package schemas decide what a report may contain. It does no I/O besides
// the reader that the caller gives, and reads no clock.
package cloudevent
