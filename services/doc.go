// Package services is the architecture on one page: the path of a report, what each
// service guarantees, and the words of the product. Each folder is one service. None
// imports another, and none waits for another's answer: what the next one needs is in
// the record, and the records are all they share. (At its start intake asks the ledger
// to certify the key that signs its receipts.)
//
//	operator                                                      departments
//	   │ report                                         acknowledge, act │ ▲ watch
//	   ▼                                                                 ▼ │
//	intake ──accepted──▶ classifier ──graded──▶ router ──escalated──▶ desk
//	   │                  ▲  │                    ▲ │                    │
//	   │          elapsed │  │            overdue │ │                    │
//	   │                  └──┼── deadline ────────┘ │                    │
//	   ▼                     ▼      ▲               ▼                    ▼
//	═══ LEDGER: every record, one order, one record for each subject ═══▶ ledger ◀── query, prove
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
//	                            merged facts, grades and every decision, by
//	                            internal/grading, which is pure
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
//	                            a report to somebody; its index and its tree are pure
//	                            functions of the stream
//
// The packs and the register in force are records too, rules.<sha256>, which
// internal/app writes at start.
//
// # Callers
//
// internal/identity has the table of what each identity may do, and what of the record
// it may see; internal/credential makes what proves an identity. A request reaches an
// endpoint under a subject that names its caller (internal/bus/endpoint/endpoint.go), or over HTTP
// with a token (internal/httpedge/identify.go); the context of an answer says for whom
// it is. Without identities every caller is accepted, on loopback only.
//
// # One shape
//
// What turns records into records is a Handler (internal/bus/follow.go): a record in,
// records out, or an error whose kind (internal/fault) says retry, reject or stop. What
// answers requests is an endpoint (internal/bus/endpoint/endpoint.go), and it answers
// after what it promises is on disk. Both write through Commit (internal/bus/commit.go)
// and in no other way. A timer is a record with a time (internal/bus/timer.go), which
// comes back as a record when the time has come.
//
// A record's subject follows from its cause, and the stream takes one record for each
// subject. So everything may be done again: a repeat meets the stored record.
//
// A record that cannot be handled is tried again after growing pauses and then becomes
// incident.unhandled.<service>.<operator>.<incident>.<record>, which the router puts
// before a desk as ungraded. Records of other incidents do not wait for it, also where
// one is slow, waits for the engine or is too large. What parties can add to an incident
// is bounded at the endpoints (internal/event/limits.go).
//
// # One report, function by function
//
//  1. intake.(*Intake).answer        takes the request when it is its caller's turn
//  2. cloudevent.Parse               validates the event: every fault with its path
//  3. intake.(*Intake).take          makes the accepted record, with the remarks of its receipt
//  4. bus.(*Bus).Commit              stores it, in one batch with what waits beside it;
//     the signed receipt goes out after that
//  5. classifier.(*handler).Handle   gets the record as the engine delivers it, and
//     loads the incident's last revision
//  6. grading.Rulebook.Revise        folds it in and decides: grades, duties, desks, times
//  7. router.handler.escalations     makes a record for each desk; the classifier stores
//     them in one batch with the decision
//  8. client.(*Client).Watch         shows a desk its escalations; deadline.setter sets
//     their clocks meanwhile
//
// # Drills
//
// The whole path runs twice in one process, once in each realm
// (internal/event/realm.go). The services are the same; the bus of the drill's
// realm writes "exercise." in front of every subject and has streams of its own.
// Nothing above the bus can name a subject of the other realm.
//
// # When a process dies
//
//	intake      before the commit: no receipt went out; the sender sends again.
//	            After it: the report is taken; the same report again gets the
//	            receipt of the first, as a duplicate.
//	classifier  it reads on from a position that may lag. A cause that is folded
//	            already ("through") makes nothing; a revision that is stored keeps
//	            its number, and the cause is folded again on top of it. A revision
//	            and its decisions are one record: all or nothing.
//	router      a revision and what it tells the desks go to disk together where
//	            they can (internal/bus/beside.go). Otherwise some desks may have
//	            theirs and others not. It is routed again, and what is missing is
//	            added.
//	desk        no answer went out; the post sends again. The first acknowledgement
//	            counts. A screen is shown again what it had not acknowledged to the
//	            engine.
//	deadline    timers are in a stream and survive. Records are read again and set
//	            the same timers; one that was handled is handled again and meets its
//	            record. A timer that came due is removed after its record is stored,
//	            and one that is lost is set again from the ledger.
//	ledger      rows and position commit together; it indexes on from there. A lost
//	            index is rebuilt from the stream. Tiles are on disk before the
//	            checkpoint that covers them: the tree goes on from it. Deleted tiles,
//	            also while it runs, are rebuilt from the stream. A removal is a record
//	            before anything is erased; what was not erased yet is erased at the
//	            next start.
//
// # Evidence
//
// Certified records are verified against the stream at every start, before anything is
// taken, when they are first read, and from time to time (services/ledger/audit/check.go).
// Damage stops certification; where the stream is shorter than what was certified,
// writing is frozen. internal/evidence knows the tree, its tiles, checkpoints and
// proofs, internal/evidence/export the exports, and both nothing of NATS, so
// cmd/tocsin-verify can be built of them alone.
//
// # Where something new goes
//
// A criterion, fact, record kind, act, endpoint, service, format or command each has a
// line in .github/CONTRIBUTING.md that names the files in order. Decisions are explained
// in services/decisions. internal/archtest checks the directions of imports, and that
// every path named here exists.
//
// # Glossary
//
// Each word with its one meaning. Where the code has another name for it, that follows
// in brackets.
//
// What is reported:
//
//	operator         who runs facilities and must report
//	facility         what an incident happens to; CII is the facility, not its operator
//	report           one CloudEvent of an operator: initial, progress, final, withdrawal
//	incident         what the reports with one operator and subject are about
//	threat           a report about something that has not happened yet
//	fact             a value under "facts" of a report; absent means unknown
//	imported         from an archive: starts no clock
//	source, id       of a report: the sender's own words for itself and the report
//	digest           SHA-256 of a report's data as canonical JSON
//	receipt          回执: intake's answer to a report: accepted, duplicate, conflict or
//	                 rejected
//	withdrawal       a report that says that the incident was none
//
// What the law says of it:
//
//	statute          a law, measure or regional rule
//	pack             a statute as data; it has criteria, duties and follow-ups
//	criterion        a condition under which a statute sets a grade
//	grade            especially-grave, major, relatively-large, general; ungraded
//	hit              a criterion that the known facts meet
//	could be         the gravest grade that unknown facts still allow
//	own grade        研判: the operator's judgement
//	confidence       how sure the text of a pack's line is
//	duty             who tells which desk, by which article, within what time
//	obligor          the operator or department that a duty binds
//	follow-up        what the obligor owes after the first report
//	owed             items or a report that an operator still has to give
//	due time         the law's limit of a duty or of what is owed
//	late             迟报: told after the due time
//	promptly         及时: without a number, and so never late
//
// What is decided and told:
//
//	cause            a record that may change what is known of an incident: a report, a
//	                 moment, a desk's act
//	fold             to add a cause to what is known; the result is a revision
//	revision         one state of an incident, numbered from 1: a graded record
//	through          the last cause that a revision has folded; earlier ones are folded too,
//	                 but for those set aside
//	set aside        of a cause: it could not be folded, and is tried with later ones
//	desk             where a department listens; a post is who is on duty there
//	escalation       报送: one desk is told of one revision, under one or more duties
//	update           an escalation to a desk that was told before, without a new duty
//	forward          上报: a department passes a report on; automatic, or pending: it awaits
//	                 a person (in JSON: held)
//	transfer         移送: a desk hands an incident to the competent desk
//	acknowledgement  签收: a post has taken an escalation up; the first one counts
//	target           the house's time for an acknowledgement; no law
//	overdue          not acknowledged by the target
//	notice           an escalation with ids and times only, of another desk's silence
//	act              what else a desk does: ask 要求补报, grade 认定 [determined], confirm,
//	                 transfer, close
//	reminder         a record that an operator owes something soon
//	screen           a client that follows a desk through a durable consumer of its own
//	away             of a desk: no screen has been there
//
// Time:
//
//	timer            a record in TIMERS that comes due at its time
//	clock            a due time, a target or a rise that is running, kept by a timer
//	machine's clock  what stamps records; the code gets it from internal/clock
//	moment           when time alone may change the grade; its record is elapsed
//	rise             a grade that goes up at a moment
//	agenda           the timers of a process in memory, in turn by operator
//	drill            演练: the whole path once more, in the realm "exercise"
//	realm            real, or drill; they share no subject and no stream
//
// How it is stored and proved:
//
//	record           one message of a stream, with a subject that follows from its cause
//	kind             the second word of a record's subject: accepted, graded, …
//	body             a record's JSON
//	story            the records of an incident, in order
//	ledger           the stream LEDGER: every record in one order; services/ledger
//	                 certifies it and answers questions about it
//	rules            a pack or register, stored by its hash
//	entry            the hash of a record in the tree: a leaf
//	tree, tile       the Merkle tree over the ledger, and a piece of it in a file
//	log              the tree with its name, key and checkpoints: what proofs are of
//	checkpoint       the signed head of the log
//	certified        covered by a checkpoint
//	proof            that a record is in the log, or that the log has only grown
//	export           a folder of records with all that proves them
//	manifest         the hashes of an export's files
//	removal          a record that says which records are gone, and by what right
//	archive          to export what is old enough, and then remove it
//	damage           a difference between the stream and what was certified
//	freeze           to stop all writing, because the stream is shorter than what was
//	                 certified
//	index            what queries are answered from, in SQLite; can be rebuilt
//	position         up to where a service has read
//
// How it runs:
//
//	service          one of the folders here, run once in each realm; --role chooses
//	identity         who a caller is: a role (operator, desk, regulator, admin) and an id
//	credential       what proves an identity; over NATS a .creds file
//	endpoint         a subject or path that takes requests
//	handler          what makes records of a record; a follower runs it
//	commit           to store records; returns when they are on disk
//	batch            several records in one atomic commit
//	batch of reports several reports in one request
//	party            whose share a request uses: an identity, an operator or an address
//	share            what a party may have of what is limited
//	in hand          of a request or record: taken and not finished
//	busy             the answer when nothing more is taken for now: try again
//	reserve          what reports leave free of the disk
//	register         the operators, facilities and desks
//	engine           NATS JetStream, embedded (internal/natsd) or outside
package services
