// Package services is the path of a report on one page. Each folder is one
// service. None imports another and none asks another: what the next one needs
// stands in the record, and the records are all they share.
//
//	operator                                                      departments
//	   │ report                                            acknowledge │ ▲ watch
//	   ▼                                                               ▼ │
//	intake ──accepted──▶ classifier ──graded──▶ router ──escalated──▶ desk
//	   │                     │                    │                    │
//	   ▼                     ▼                    ▼                    ▼
//	═══ LEDGER: every record, one order, one record a subject for ever ═══▶ ledger ◀── query
//
// # What each one reads and writes
//
//	services/intake      takes  report.<operator>, and POST /v1/reports over HTTP
//	                     writes incident.accepted.<operator>.<incident>.<report>,
//	                            or rejected.<operator>.<digest>
//	services/classifier  reads  accepted
//	                     writes incident.graded.<operator>.<incident>.<revision>:
//	                            merged facts, grades and every decision
//	services/router      reads  graded, unhandled
//	                     writes incident.escalated.<desk>.<operator>.<incident>.<revision>
//	services/desk        takes  desk.<desk>.acknowledge, desk.<desk>.watch
//	                     writes incident.acknowledged.<as escalated>
//	services/ledger      reads  every record; takes ledger.escalations, ledger.incident
//	                     writes no record; its index is a projection
//
// The packs and the register in force are records too, rules.<sha256>, which
// internal/app writes at start.
//
// # One shape
//
// What turns records into records is a Handler (internal/bus/follow.go): a
// record in, records out, or an error whose kind (internal/fault) says retry,
// reject or stop. What answers requests is a Door (internal/bus/door.go), and it
// answers after what it promises is on disk. Both write through Commit
// (internal/bus/commit.go) and in no other way.
//
// A record's subject follows from its cause, and the stream takes one record a
// subject. So everything may be done again: a repeat meets what stands.
//
// A record that cannot be handled is tried again after growing pauses and then
// becomes incident.unhandled.<service>.<operator>.<incident>.<record>, which the
// router puts before a desk as ungraded. The records behind it are not held up.
//
// # What holds when a process dies there
//
//	intake      before the commit: no receipt went out; the sender sends again.
//	            After it: the report is taken; the same report again gets the
//	            receipt of the first, as a duplicate.
//	classifier  it reads on from a position that may lag. A report that is folded
//	            already ("through") makes nothing; a revision that stands keeps its
//	            number, and the report is folded again on top of it. A revision
//	            and its decisions are one record: all or nothing.
//	router      some desks of a revision may have theirs and others not. It is
//	            routed again; what stands stays, what is missing is added.
//	desk        no answer went out; the post sends again. The first acknowledgement
//	            stands. A screen is shown again what it had not taken as shown.
//	ledger      rows and position commit together; it indexes on from there. An
//	            index that is lost is made again from the stream.
//
// # Where something new goes
//
//	criterion, duty   a line of a pack in schemas/statutes, with its fixtures; no Go
//	fact              schemas/report/common.v1.json, internal/event/report.go,
//	                  internal/statute/fact.go
//	desk, operator    a line of the register; schemas/register/example.yaml is one
//	event type        subject and kind in internal/event/subject.go, body in
//	                  internal/event/body.go; a report type also its schema in
//	                  schemas/report and its name in internal/event/report.go
//	service           a folder here with Name, Deps and Run, and a line in the table
//	                  of roles in internal/app/app.go
//	foreign format    internal/interchange
//	command           cmd/tocsin
//
// internal/archtest holds this page to the tree: directions of import, and every
// path named here.
package services
