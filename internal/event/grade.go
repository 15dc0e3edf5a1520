package event

import "fmt"

// Grade is the severity of an incident or threat, in the four steps of the
// annex of the Measures for Reporting Cybersecurity Incidents (2025). Grades
// compare with <: a graver one is greater.
type Grade int

// The grades, the least grave first.
const (
	Ungraded        Grade = iota // it could not be graded: a person must review it
	General                      // 一般
	RelativelyLarge              // 较大
	Major                        // 重大
	EspeciallyGrave              // 特别重大
)

var gradeIDs = [...]string{"ungraded", "general", "relatively-large", "major", "especially-grave"}

// Grades lists the four grades of the law, the gravest first.
var Grades = []Grade{EspeciallyGrave, Major, RelativelyLarge, General}

func (g Grade) String() string {
	if g < Ungraded || g > EspeciallyGrave {
		return fmt.Sprintf("grade(%d)", int(g))
	}
	return gradeIDs[g]
}

// ParseGrade reads the id of a grade.
func ParseGrade(id string) (Grade, error) {
	for i, s := range gradeIDs {
		if s == id {
			return Grade(i), nil
		}
	}
	return Ungraded, fmt.Errorf("unknown grade %q: want especially-grave, major, relatively-large, general or ungraded", id)
}

// AppendText writes the id.
func (g Grade) AppendText(out []byte) ([]byte, error) { return append(out, g.String()...), nil }

// MarshalText writes the id.
func (g Grade) MarshalText() ([]byte, error) { return g.AppendText(nil) }

// UnmarshalText reads the id.
func (g *Grade) UnmarshalText(b []byte) (err error) {
	*g, err = ParseGrade(string(b))
	return err
}
