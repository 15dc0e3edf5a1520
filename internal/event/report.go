package event

import (
	"fmt"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// The CloudEvents types of a report.
const (
	TypeInitial    = "tocsin.report.initial.v1"
	TypeProgress   = "tocsin.report.progress.v1"
	TypeFinal      = "tocsin.report.final.v1"
	TypeWithdrawal = "tocsin.report.withdrawal.v1"
)

// ReportTypes lists the CloudEvents types of a report.
var ReportTypes = []string{TypeInitial, TypeProgress, TypeFinal, TypeWithdrawal}

// About says what a report is about.
type About string

// What a report may be about.
const (
	AboutIncident About = "incident"
	AboutThreat   About = "threat"
)

// Report is the data of a report, or of all reports of one incident merged: a
// nil pointer, an empty string or a nil list is a fact that is not known. The
// JSON form is fixed by schemas/report; items are those of art. 7 of the
// Measures for Reporting Cybersecurity Incidents.
type Report struct {
	About        About      `json:"about,omitempty"`
	Facilities   []string   `json:"facilities,omitempty"`
	DiscoveredAt *time.Time `json:"discoveredAt,omitempty"`
	OccurredAt   *time.Time `json:"occurredAt,omitempty"`
	HandledAt    *time.Time `json:"handledAt,omitempty"`
	ClassifiedAt *time.Time `json:"classifiedAt,omitempty"` // by the operator
	OralNoticeAt *time.Time `json:"oralNoticeAt,omitempty"` // when an authority was told orally
	Kind         string     `json:"kind,omitempty"`
	Title        string     `json:"title,omitempty"`
	OwnGrade     Grade      `json:"ownGrade,omitempty"` // 研判; Ungraded when not given
	Place        *Place     `json:"place,omitempty"`
	Contact      *Contact   `json:"contact,omitempty"`

	ContainsNoStateSecrets bool   `json:"containsNoStateSecrets,omitempty"`
	CrimeSuspected         *bool  `json:"crimeSuspected,omitempty"`
	CrimeReference         string `json:"crimeReference,omitempty"`

	Facts  Facts   `json:"facts,omitzero"`
	Ransom *Ransom `json:"ransom,omitempty"`
	// Earlier are incidents of the operator with the same apparent cause; empty but not
	// nil: there are none.
	Earlier []Earlier `json:"earlier,omitzero"`

	Impact   string `json:"impact,omitempty"`
	Measures string `json:"measures,omitempty"`
	Trend    string `json:"trend,omitempty"`
	Cause    string `json:"cause,omitempty"`
	Leads    string `json:"leads,omitempty"`
	Plan     string `json:"plan,omitempty"`
	Support  string `json:"support,omitempty"`
	Scene    string `json:"scene,omitempty"`
	Other    string `json:"other,omitempty"`

	Attachments  []Attachment   `json:"attachments,omitempty"`
	AlsoReported []AlsoReported `json:"alsoReported,omitempty"`

	// Stages are those that this report is, by the names of the packs; it is not a fact of
	// the incident.
	Stages []string `json:"stages,omitempty"`

	// Imported marks a report from an archive: it starts no clock.
	Imported bool `json:"imported,omitempty"`

	// Reason is why a withdrawal withdraws: false-alarm, duplicate, or free text.
	Reason      string `json:"reason,omitempty"`
	DuplicateOf string `json:"duplicateOf,omitempty"` // the incident that this one repeats
}

// Facts are what grades are computed from.
type Facts struct {
	Outage                     []Outage         `json:"outage,omitempty"`
	SiteUnreachable            *SiteUnreachable `json:"siteUnreachable,omitempty"`
	Defacement                 *Defacement      `json:"defacement,omitempty"`
	PeopleAffected             *Number          `json:"peopleAffected,omitempty"`             // persons
	PersonalInformationPersons *Number          `json:"personalInformationPersons,omitempty"` // persons
	PopulationShare            []Share          `json:"populationShare,omitempty"`
	DirectLoss                 *Money           `json:"directLoss,omitempty"`
	SystemLoss                 string           `json:"systemLoss,omitempty"`  // judged: none … especially-serious
	DataThreat                 string           `json:"dataThreat,omitempty"`  // judged
	OtherThreat                string           `json:"otherThreat,omitempty"` // judged
	// Named are the facts that packs declare, as sent; the pack gives the kind of each.
	Named map[string]jsontext.Value `json:"named,omitempty"`
}

// Earlier is an earlier incident of the same operator.
type Earlier struct {
	Incident     string    `json:"incident"`
	DiscoveredAt time.Time `json:"discoveredAt"`
}

// Times are the times of something that lasts: since and until, since alone while it
// lasts, or a duration.
type Times struct {
	Since    *time.Time `json:"since,omitempty"`
	Until    *time.Time `json:"until,omitempty"`
	Duration *Span      `json:"duration,omitempty"`
}

// Elapsed returns how long it has lasted at now. Exact is false when the length is only a
// lower bound. Growing is true while it has not ended: the length is then exact at now
// and greater later. An end in the future has not been reached.
func (t Times) Elapsed(now time.Time) (length time.Duration, exact, growing bool) {
	switch {
	case t.Duration != nil:
		return t.Duration.Duration, !t.Duration.AtLeast, false
	case t.Since == nil:
		return 0, false, false
	case t.Until != nil && !t.Until.After(now):
		return max(0, t.Until.Sub(*t.Since)), true, false
	default:
		return max(0, now.Sub(*t.Since)), true, true
	}
}

// Outage is one interruption of one facility; without a facility, of every facility that
// the incident names.
type Outage struct {
	Facility string `json:"facility,omitempty"`
	Scope    string `json:"scope"` // overall or main-function
	Times
}

// Site says whose site it is. Empty members are not known.
type Site struct {
	Owner string `json:"owner,omitempty"` // party-government, news, enterprise, platform
	Level string `json:"level,omitempty"` // central, provincial, prefecture, other
	Size  string `json:"size,omitempty"`  // of a platform: super-large, large, other
	// Class is what earlier reports have instead: central, provincial, prefecture, other.
	Class string `json:"class,omitempty"`
}

// SiteUnreachable is a key site that could not be reached.
type SiteUnreachable struct {
	Site
	Times
}

// Defacement is a site that displayed unlawful content: whose it is, durations and counts,
// never wording, author or account.
type Defacement struct {
	Site
	Page    string  `json:"page,omitempty"`
	Reposts *Number `json:"reposts,omitempty"`
	Views   *Number `json:"views,omitempty"`
	Finding string  `json:"finding,omitempty"` // of a department: none … especially-wide
	Times
}

// Share is the part of a region's population that is affected, 0 to 1.
type Share struct {
	Level  string `json:"level"` // province or prefecture
	Region string `json:"region"`
	Share  Number `json:"share"`
}

// Money is an amount in a currency (ISO 4217; XXX where it is not known).
type Money struct {
	Amount   Number `json:"amount"`
	Currency string `json:"currency"`
}

// Place is where an incident happened.
type Place struct {
	Region  string `json:"region,omitempty"` // GB/T 2260
	Address string `json:"address,omitempty"`
}

// Contact is a post, never a person.
type Contact struct {
	Post  string `json:"post,omitempty"`
	Phone string `json:"phone,omitempty"`
}

// Ransom is the amount demanded, how and when (Measures art. 7 item 2).
type Ransom struct {
	Amount     *Number    `json:"amount,omitempty"`
	Currency   string     `json:"currency,omitempty"`
	Method     string     `json:"method,omitempty"`
	DemandedAt *time.Time `json:"demandedAt,omitempty"`
	PaidAt     *time.Time `json:"paidAt,omitempty"`
}

// Attachment names a file that stays with the operator.
type Attachment struct {
	Name      string  `json:"name"`
	MediaType string  `json:"mediaType,omitempty"`
	Size      float64 `json:"size,omitempty"` // bytes; whole, but JSON may write it as 1e3
	SHA256    string  `json:"sha256"`
}

// AlsoReported is a report by another channel: telephone, 12387 and so on.
type AlsoReported struct {
	Desk      string     `json:"desk,omitempty"`
	Name      string     `json:"name,omitempty"`
	Channel   string     `json:"channel,omitempty"`
	At        *time.Time `json:"at,omitempty"`
	Reference string     `json:"reference,omitempty"`
}

// ParseReport reads the data of a report that has passed validation. A null is an unknown
// fact.
func ParseReport(data []byte) (Report, error) {
	var r Report
	if err := json.Unmarshal(StrictTimes("", data), &r, JSON); err != nil {
		return r, fmt.Errorf("report data: %w", err)
	}
	r.SetDefaults()
	return r, nil
}

// SetDefaults sets what a report need not say: that it is about an incident.
func (r *Report) SetDefaults() {
	if r.About == "" {
		r.About = AboutIncident
	}
}
