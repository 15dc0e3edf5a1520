package event

// Citations has the Chinese of citations. Records contain the English alone: a citation
// is translated where it is shown.
type Citations map[string]string

// Duties fills in the Chinese of each duty's citation.
func (c Citations) Duties(duties []Duty) {
	for i := range duties {
		duties[i].CitationZH = c[duties[i].Citation]
	}
}

// Obligations fills in the Chinese of each obligation's citation.
func (c Citations) Obligations(owed []Obligation) {
	for i := range owed {
		owed[i].CitationZH = c[owed[i].Citation]
	}
}

// Hits fills in the Chinese of each hit's citation.
func (c Citations) Hits(hits []Hit) {
	for i := range hits {
		hits[i].CitationZH = c[hits[i].Citation]
	}
}

// Possible fills in the Chinese of each possible duty's citation.
func (c Citations) Possible(possible []PossibleDuty) {
	for i := range possible {
		possible[i].CitationZH = c[possible[i].Citation]
	}
}
