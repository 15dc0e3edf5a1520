// Package interchange converts incidents from foreign formats to reports: VERIS 1.3
// (JSON) and form DOE-417 (CSV) in, CloudEvents out.
//
// What it guarantees:
//
//   - Pure. The output is a function of the input and the Options: no clock, no
//     random ids, no network, no file. The same input gives the same bytes.
//   - Order. VERIS incidents are emitted in the order of the input, DOE-417
//     incidents in the order of their first rows.
//   - Nothing is dropped silently. Each fault of unreadable input is reported
//     with its line and path; everything else is still imported. The error at
//     the end lists every fault, so an import that returns nil was complete.
//   - Nothing is invented. What the source omits, or only suspects, is left out
//     of the facts; an amount without a currency is in XXX (ISO 4217: no
//     currency), and no amount is converted. Where the report format needs a
//     value that the source lacks (a time zone, the time of discovery), the text
//     "other" of the report names the assumption.
//   - No persons. Victims, actors and analysts are never read; the title is the
//     only free text that is carried over.
//   - Memory. VERIS is streamed, one incident at a time, with the digest of each
//     to find contradictions. DOE-417 keeps one small entry for each incident,
//     because rows of one event need not be adjacent. Otherwise only the list of
//     faults grows with their number.
//
// What not to assume: that two incidents of one input have different ids (a repeat in the
// source is a repeat in the output; intake tells duplicates and conflicts apart), or that
// a report would be accepted: the operator and the facility are not checked. Every report
// is marked imported and starts no clock.
package interchange
