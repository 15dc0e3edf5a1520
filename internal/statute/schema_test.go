package statute

import (
	"encoding/json"
	"io/fs"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tocsin-project/tocsin/schemas"
)

// The schema lists the facts that a condition may name.
func TestSchema_NamesWhatTheProgramKnows(t *testing.T) {
	raw, err := fs.ReadFile(schemas.Statutes, "pack.v1.json")
	require.NoError(t, err)
	var pack struct {
		Defs struct {
			Comparison struct {
				Properties struct {
					Fact struct{ AnyOf []struct{ Enum []string } }
				}
			}
			Wideness, Seriousness, KindName struct{ Enum []string }
		} `json:"$defs"`
	}
	require.NoError(t, json.Unmarshal(raw, &pack))
	var known []string
	for _, f := range facts {
		known = append(known, f.path)
	}
	require.ElementsMatch(t, known, pack.Defs.Comparison.Properties.Fact.AnyOf[0].Enum)
	require.Equal(t, wideness, pack.Defs.Wideness.Enum)
	require.Equal(t, seriousness, pack.Defs.Seriousness.Enum)
	require.Equal(t, kindsOfIncident, pack.Defs.KindName.Enum)
}

// TestSchema_EachFactHasItsLimit: a comparison of each fact takes a limit of its kind and
// the keys that narrow it, and no others.
func TestSchema_EachFactHasItsLimit(t *testing.T) {
	limits := map[kind]string{duration: "PT1H", number: "5", share: "0.5", money: "5, currency: CNY", ordinal: "none"}
	narrow := map[string]string{"scope": "overall", "cii": "true", "site": "{owner: [news], level: central, size: large}", "page": "home", "level": "province"}
	decode := func(when string) error {
		_, err := Decode([]byte(minimal + "criteria:\n  - {id: a, grade: major, when: {" + when + "}}\n"))
		return err
	}
	for _, f := range facts {
		if f.path == "kind" {
			continue // no kind is more than another: TestCondition_Kind
		}
		for k, limit := range limits {
			fits := k == f.kind || k == share && f.kind == number
			for _, key := range []string{"atLeast", "above"} {
				err := decode("fact: " + f.path + ", " + key + ": " + limit)
				require.Equal(t, fits, err == nil, "%s %s: %v", f.path, limit, err)
			}
		}
		for _, is := range []string{"true", "false"} {
			require.Equal(t, f.kind == boolean, decode("fact: "+f.path+", is: "+is) == nil, f.path)
		}
		require.Error(t, decode("fact: "+f.path), f.path)
		value := map[bool]string{true: "is: true", false: "atLeast: " + limits[f.kind]}[f.kind == boolean]
		for key, word := range narrow {
			err := decode("fact: " + f.path + ", where: {" + key + ": " + word + "}, " + value)
			require.Equal(t, slices.Contains(f.where, key), err == nil, "%s %s: %v", f.path, key, err)
		}
	}
}
