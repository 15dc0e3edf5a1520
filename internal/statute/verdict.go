package statute

import "cmp"

// Verdict is a truth value of Kleene's logic, ordered so that "all of" is the minimum and
// "any of" the maximum.
type Verdict int8

// The truth values.
const (
	False Verdict = iota
	Unknown
	True
)

func (v Verdict) String() string {
	return [...]string{"false", "unknown", "true"}[v]
}

func verdictOf(b bool) Verdict {
	if b {
		return True
	}
	return False
}

// reaches compares a value with a limit. A value that is not exact is a lower bound:
// below the limit the result is unknown.
func reaches[T cmp.Ordered](value T, exact bool, limit T, strict bool) Verdict {
	switch {
	case value > limit || (value == limit && !strict):
		return True
	case exact:
		return False
	default:
		return Unknown
	}
}
