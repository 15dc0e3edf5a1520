package api

import (
	"strings"
	"testing"

	"github.com/tocsin-project/tocsin/internal/event"
)

// A screen's consumer belongs to the desk that it was opened for.
func FuzzScreens(f *testing.F) {
	f.Add("protection-energy", "wall")
	f.Add("a:b", "c")
	f.Add("a", "b:c")
	f.Add("=", "=x")
	f.Add("*", ">")
	f.Add("", "\x00\n")
	f.Fuzz(func(t *testing.T, desk, client string) {
		consumer := ScreenConsumer(desk, client)
		d, c, ok := ScreenOf(consumer)
		if !ok || d != event.Token(desk) || c != event.Token(client) || strings.ContainsAny(consumer, ". *>\t\r\n") {
			t.Fatalf("%q is of %q, %q, %t", consumer, d, c, ok)
		}
		_, _, _ = ScreenOf(desk)
	})
}
