package evidence

// WriteFile makes a file durable, for its owner alone, in a folder that is there:
// after a crash there is the old one or the new one.
func WriteFile(path string, data []byte) error { return writeFile(path, data) }

// Records are the records (from 1) that a tile speaks of.
func (p TilePath) Records() (first, last uint64) { return p.records() }
