// Package api holds the questions that endpoints take and the answers that they give, with
// the subjects of the endpoints and the CSV form of rows.
//
// What it guarantees:
//   - The JSON names, the columns of CSV and the subjects are fixed: outside programs rely
//     on them. Fields and columns may be added, columns at the end.
//   - Times of the contract have a zone and at least milliseconds.
//   - A cell of CSV is never read as a formula by a spreadsheet.
//
// It does no I/O and reads no clock.
package api
