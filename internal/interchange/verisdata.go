package interchange

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/tocsin-project/tocsin/internal/event"
)

// personalData are the varieties of data that identify persons.
var personalData = []string{"Personal", "Medical", "Bank", "Payment"}

// verisPersons returns the leaked records as a number of persons, and data_total as
// written. A count of data that identifies nobody is not a count of persons.
//
// data_total counts the records of all varieties together. Where the amount of the
// personal ones is given and is less, or contradicts the total, only the smaller of the
// two is certain.
func verisPersons(confidentiality object) (persons *event.Number, total string) {
	all, known := confidentiality.integer("data_total")
	var personal int64 // the greatest amount of a personal variety
	found, others := false, false
	for i, v := range confidentiality.list("data") {
		name := fmt.Sprintf("data[%d]", i)
		fields, ok := v.(map[string]any)
		if !ok {
			confidentiality.addFault(name, "must be an object, not %s", typeName(v))
			continue
		}
		data := object{fields, confidentiality.at(name), confidentiality.faults}
		amount, _ := data.integer("amount")
		if slices.Contains(personalData, data.word("variety", data.text("variety"), personalData...)) {
			found = true
			personal = max(personal, amount)
		} else {
			others = true
		}
	}
	if !known {
		return nil, "not given"
	}
	total = strconv.FormatInt(all, 10)
	switch {
	case !found:
		return nil, total
	case personal > all, others && 0 < personal && personal < all:
		return &event.Number{Value: float64(min(personal, all)), AtLeast: true}, total
	}
	return &event.Number{Value: float64(all)}, total
}
