// Package statute reads the law as data and applies it.
//
// A pack is one instrument: criteria that set a grade, duties that define who tells whom,
// within what time, and follow-ups, which the obligor owes afterwards. No threshold,
// limit or article is written in Go.
//
// What callers may rely on:
//   - Everything after Load and Decode is pure: the same set, case and time
//     give the same answer, on any machine, in any year. Nothing reads a clock.
//     A Set and its packs never change and may be shared between goroutines.
//   - A missing fact is unknown, never false (Kleene's three values). Unknown
//     criteria raise CouldBe and name their facts; they never raise Grade and
//     never trigger a duty.
//   - More of a quantity never lowers a grade, and removing a fact never raises
//     one. Time only raises: Next is the first instant at which it does.
//   - The operator's own grade raises and never lowers. It is not part of
//     Computed, which depends on the facts alone.
//   - A department's determination (认定) replaces the operator's grade and every
//     criterion that it covers, and may lower; it is not part of Computed either.
//     A criterion met since then counts again.
//   - Amounts of another currency are unknown; nothing is converted.
//   - A pack speaks only of facilities of its jurisdiction. It counts days in its own zone
//     and by its own calendar, or those of the facility; a due time beyond the last day of
//     a calendar can be told by CalendarEnds.
//   - A fact that a pack declares is read by its kind alone. CheckReport finds facts and
//     stages that no pack has, before they are taken for unknown.
//   - Decoding is strict and reports every fault of every pack at once. A set
//     that loads can be applied; Check tells whether it is sound.
package statute
