package index

import (
	"slices"

	"github.com/tocsin-project/tocsin/services/ledger/index/extract"
)

type incident struct {
	id       int64
	operator string // token
	incident string // token
	record   uint64 // of the current revision; 0 before the first
	revision int
	desks    []*desk
	loaded   bool // desks is complete

	isNew   bool // not in the file yet
	changed bool // since it was written
	active  bool // used in this transaction
}

type desk struct {
	number       int64 // of extract.KindTold
	told, closed uint64
	changed      bool
}

// desk returns the desk's entry in the incident and adds it if there is none.
func (i *incident) desk(number int64) *desk {
	for _, d := range i.desks {
		if d.number == number {
			return d
		}
	}
	d := &desk{number: number}
	i.desks = append(i.desks, d)
	return d
}

// known are the incidents used last, by operator and name: most records are about one of
// them. A transaction uses one object for each, so they are forgotten only between two.
type known map[[2]string]*incident

const maxKnown = 32 << 10

func (k known) get(operator, name string) *incident { return k[[2]string{operator, name}] }

func (k known) add(i *incident) { k[[2]string{i.operator, i.incident}] = i }

func (k known) drop(i *incident) { delete(k, [2]string{i.operator, i.incident}) }

// incident returns an incident by its tokens, creating it if it is new. It is written at
// the end of the transaction.
func (tx *transaction) incident(operator, name string) (*incident, error) {
	known := tx.index.known
	i := known.get(operator, name)
	if i == nil {
		i = &incident{operator: operator, incident: name}
		known.add(i)
		if err := tx.lookUp([]*incident{i}); err != nil {
			return nil, err
		}
	}
	tx.use(i)
	return i, nil
}

// preload looks up all items' incidents that are not known yet.
func (tx *transaction) preload(items []extract.Item) error {
	known := tx.index.known
	var unknown []*incident
	for i := range items {
		a := &items[i].Address
		if a.Incident == "" || items[i].Removal != nil || known.get(a.Operator, a.Incident) != nil {
			continue
		}
		unknown = append(unknown, &incident{operator: a.Operator, incident: a.Incident})
		known.add(unknown[len(unknown)-1]) // so that it is looked up once
	}
	for some := range slices.Chunk(unknown, namesAtOnce) {
		if err := tx.lookUp(some); err != nil {
			return err
		}
	}
	return nil
}

// lookUp reads incidents by their tokens, namesAtOnce at most; those that are not in the
// file are new. They must be in known already.
func (tx *transaction) lookUp(unknown []*incident) error {
	x := tx.index
	var names [2 * namesAtOnce]any // unused ones are null, which matches no name
	for k, i := range unknown {
		names[2*k], names[2*k+1] = i.incident, i.operator
	}
	rows, err := x.prepared[selectIncidents].Query(names[:]...)
	if err != nil {
		return err
	}
	err = eachRow(rows, func() error {
		var operator, name string
		var found incident
		if err := rows.Scan(&name, &operator, &found.id, &found.record, &found.revision); err != nil {
			return err
		}
		i := x.known.get(operator, name)
		i.id, i.record, i.revision = found.id, found.record, found.revision
		return nil
	})
	for _, i := range unknown {
		if i.id == 0 {
			x.newest++
			i.id, i.loaded, i.isNew = x.newest, true, true
		}
	}
	return err
}

// use marks an incident to be written at the end of the transaction if it changes.
func (tx *transaction) use(i *incident) {
	if !i.active {
		i.active = true
		tx.active = append(tx.active, i)
	}
}

func (tx *transaction) loadDesks(i *incident) error {
	if i.loaded {
		return nil
	}
	rows, err := tx.index.prepared[selectDesks].Query(i.id)
	if err != nil {
		return err
	}
	i.loaded = true
	return eachRow(rows, func() error {
		d := new(desk)
		i.desks = append(i.desks, d)
		return rows.Scan(&d.number, &d.told, &d.closed)
	})
}

func (tx *transaction) saveAll() error {
	for _, i := range tx.active {
		if err := tx.save(i); err != nil {
			return err
		}
	}
	tx.active = nil
	return tx.flushRows()
}

func (tx *transaction) save(i *incident) (err error) {
	i.active = false
	switch {
	case i.isNew:
		err = tx.insert(insertIncident, i.id, i.operator, i.incident, i.record, i.revision)
	case i.changed:
		err = tx.exec(updateIncident, i.record, i.revision, i.id)
	}
	if err != nil {
		return err
	}
	i.isNew, i.changed = false, false
	for _, d := range i.desks {
		if !d.changed {
			continue
		}
		if err := tx.exec(putDesk, i.id, d.number, d.told, d.closed); err != nil {
			return err
		}
		d.changed = false
	}
	return nil
}
