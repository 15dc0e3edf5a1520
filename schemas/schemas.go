// Package schemas contains the data of the product: the JSON Schemas of a report, the
// statute packs and the example register. The files are compiled into the program and
// never fetched; the $id of a schema is a name, not an address.
package schemas

import (
	"embed"
	"io/fs"
)

//go:embed all:statutes all:report all:register all:act
var files embed.FS

// The embedded files, each set rooted in its own folder.
var (
	Reports   = sub("report")   // *.json: JSON Schema 2020-12, one for each report type, and common.v1.json
	Statutes  = sub("statutes") // *.yaml: the statute packs; pack.v1.json: their schema
	Acts      = sub("act")      // act.v1.json: the schema of a desk's acts
	Registers = sub("register") // example.yaml: the example register; register.v1.json: its schema
)

// sub returns a folder of files. It panics when the folder does not exist, which the
// compiler has already ruled out.
func sub(dir string) fs.FS {
	s, err := fs.Sub(files, dir)
	if err != nil {
		panic(err)
	}
	return s
}
