// Package services is the path of a report on one page. Each folder is one
// service. None imports another, and none waits for another's answer: what the next
// one needs stands in the record, and the records are all they share. (Intake has the
// key that signs its receipts certified by the ledger, when it starts.)
//
//	operator                                                      departments
//	   │ report                                         acknowledge, act │ ▲ watch
//	   ▼                                                                 ▼ │
//	intake ──accepted──▶ classifier ──graded──▶ router ──escalated──▶ desk
//	   │                  ▲  │                    ▲ │                    │
//	   │          elapsed │  │            overdue │ │                    │
//	   │                  └──┼── deadline ────────┘ │                    │
//	   ▼                     ▼      ▲               ▼                    ▼
//	═══ LEDGER: every record, one order, one record a subject for ever ═══▶ ledger ◀── query, prove
//	                                │ ▲                                       │
//	                                ▼ │                                       ▼
//	                              TIMERS                             index, tree, checkpoints
//
// # What each one reads and writes
//
//	services/intake      takes  report.<operator>, and POST /v1/reports over HTTP
//	                     writes incident.accepted.<operator>.<incident>.<report>,
//	                            or rejected.<operator>.<digest>
//	services/classifier  reads  accepted, elapsed; determined, asked, confirmed, transferred
//	                     writes incident.graded.<operator>.<incident>.<revision>:
//	                            merged facts, grades and every decision
//	services/router      reads  graded, unhandled; overdue, away, reminded
//	                     writes incident.escalated.<desk>.<operator>.<incident>.<revision>
//	services/desk        takes  desk.<desk>.acknowledge, desk.<desk>.act, desk.<desk>.watch,
//	                            desk.<desk>.outcome
//	                     writes incident.acknowledged.<as escalated>, and the other acts:
//	                            incident.asked, determined, transferred, confirmed, closed,
//	                            each .<desk>.<operator>.<incident>.<act>
//	services/deadline    reads  graded, escalated, acknowledged, and timers that come due;
//	                     takes  deadline.desks
//	                     writes incident.elapsed.<operator>.<incident>.<at>,
//	                            incident.overdue.<as escalated>,
//	                            incident.reminded.<operator>.<incident>.<what>,
//	                            incident.away.<desk>.<since>; and timers
//	services/ledger      reads  every record;
//	                     takes  ledger.escalations, incidents, incident, stats;
//	                            ledger.log, tiles, records, prove, audit, certify;
//	                            ledger.remove, archive; and GET /v1/… over HTTP
//	                     writes incident.removed.<first>, and
//	                            incident.read.<operator>.<incident>.<what> when it shows
//	                            somebody a report, and nothing else: its index and its
//	                            tree are pure functions of the stream
//
// The packs and the register in force are records too, rules.<sha256>, which
// internal/app writes at start.
//
// # Who asks
//
// internal/identity has the table of who may what, and what of the record each may
// see; internal/credential makes what proves it. A request comes to a door under a
// subject that says who asks (internal/bus/door.go), or over HTTP with a token
// (internal/httpedge/identify.go); the context of an answer says for whom it is.
// Without identities it is anyone, on loopback only.
//
// # One shape
//
// What turns records into records is a Handler (internal/bus/follow.go): a
// record in, records out, or an error whose kind (internal/fault) says retry,
// reject or stop. What answers requests is a Door (internal/bus/door.go), and it
// answers after what it promises is on disk. Both write through Commit
// (internal/bus/commit.go) and in no other way. A timer is a record with a time
// (internal/bus/timer.go), which comes back as a record when the time has come.
//
// A record's subject follows from its cause, and the stream takes one record a
// subject. So everything may be done again: a repeat meets what stands.
//
// A record that cannot be handled is tried again after growing pauses and then
// becomes incident.unhandled.<service>.<operator>.<incident>.<record>, which the
// router puts before a desk as ungraded. Records of other incidents are not held up,
// also where one is slow, waits for the engine or is too large. What parties can add
// to an incident is bounded at the doors (internal/event/limits.go).
//
// # Drills
//
// The whole path runs twice in one process, once in each realm
// (internal/event/realm.go). The services are the same; the bus of the drill's
// realm writes "exercise." in front of every subject and has streams of its own.
// Nothing above the bus can name a subject of the other realm.
//
// # What holds when a process dies there
//
//	intake      before the commit: no receipt went out; the sender sends again.
//	            After it: the report is taken; the same report again gets the
//	            receipt of the first, as a duplicate.
//	classifier  it reads on from a position that may lag. A cause that is folded
//	            already ("through") makes nothing; a revision that stands keeps its
//	            number, and the cause is folded again on top of it. A revision
//	            and its decisions are one record: all or nothing.
//	router      a revision and what it tells the desks go to disk together where
//	            they can (internal/bus/together.go). Otherwise some desks may have
//	            theirs and others not. It is routed again; what stands stays, what
//	            is missing is added.
//	desk        no answer went out; the post sends again. The first acknowledgement
//	            stands. A screen is shown again what it had not taken as shown.
//	deadline    timers are in a stream and survive. Records are read again and set
//	            the same timers; one that was handled is handled again and meets its
//	            record. A timer that came due is removed after its record is stored,
//	            and one that is lost is set again from the ledger.
//	ledger      rows and position commit together; it indexes on from there. An
//	            index that is lost is made again from the stream. Tiles are on disk
//	            before the checkpoint that covers them: the tree goes on from it.
//	            Tiles that are deleted, also while it runs, are rebuilt from the stream.
//	            A removal is a record before anything is erased; what was not erased
//	            yet is, at the next start.
//
// # Evidence
//
// What is certified is held against the stream at every start, before anything is
// taken, at first read and from time to time (services/ledger/check.go). Damage
// stops certification; where the stream has become shorter than what was
// certified, nothing is written any more. internal/evidence knows the tree, its
// tiles, checkpoints, proofs and exports, and nothing of NATS, so that
// cmd/tocsin-verify can be built of it alone.
//
// # Where something new goes
//
//	criterion, duty,  a line of a pack in schemas/statutes, with its fixtures; no Go
//	follow-up
//	fact              schemas/report/common.v1.json, internal/event/report.go,
//	                  internal/statute/fact.go
//	desk, operator    a line of the register; schemas/register/example.yaml is one
//	event type        subject and kind in internal/event/subject.go, body in
//	                  internal/event/body.go; a report type also its schema in
//	                  schemas/report and its name in internal/event/report.go
//	act of a desk     internal/event/deskact.go, its checks in services/desk, what
//	                  follows from it in services/classifier/cause.go
//	clock             what sets it in services/deadline/set.go, what comes of it in
//	                  services/deadline/ring.go
//	service           a folder here with Name, Deps and Run, and a line in the table
//	                  of roles in internal/app/app.go
//	question          a method of the ledger, a line in services/ledger/door.go, and
//	                  its route in services/ledger/http.go
//	foreign format    internal/interchange
//	command           cmd/tocsin
//
// internal/archtest holds this page to the tree: directions of import, and every
// path named here.
package services
