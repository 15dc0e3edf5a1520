package ledger

import (
	"database/sql"
	"errors"
)

// incident is one as the goroutine that writes knows it.
type incident struct {
	id       int64
	operator string // token
	incident string // token
	record   uint64 // of the current revision; 0 before the first
	revision int
	desks    []*desk
	loaded   bool // desks are

	isNew   bool // not in the file yet
	changed bool // since it was written
	active  bool // in this transaction
}

type desk struct {
	number       int64 // of kindTold
	told, closed uint64
	changed      bool
}

// desk returns what a desk has to do with the incident.
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

// known are the incidents that were met last: most records are about one of them.
// There are two generations; what is asked for in the old one goes on in the new.
type known struct{ young, old map[[2]string]*incident }

const generation = 16 << 10

func newKnown() *known { return &known{young: map[[2]string]*incident{}} }

func (k *known) get(operator, name string) *incident {
	key := [2]string{operator, name}
	if i := k.young[key]; i != nil {
		return i
	}
	i := k.old[key]
	if i != nil {
		k.add(i)
	}
	return i
}

func (k *known) add(i *incident) {
	if len(k.young) >= generation {
		k.old, k.young = k.young, map[[2]string]*incident{}
	}
	k.young[[2]string{i.operator, i.incident}] = i
}

func (k *known) drop(i *incident) {
	key := [2]string{i.operator, i.incident}
	delete(k.young, key)
	delete(k.old, key)
}

// incident returns one by its tokens, which it makes where it is new. It is
// written at the end of the transaction.
func (w *writing) incident(operator, name string) (*incident, error) {
	x := w.index
	i := x.known.get(operator, name)
	if i == nil {
		i = &incident{operator: operator, incident: name}
		err := x.prepared[selectIncident].QueryRow(name, operator).Scan(&i.id, &i.record, &i.revision)
		if errors.Is(err, sql.ErrNoRows) {
			x.newest++
			i.id, i.loaded, i.isNew = x.newest, true, true
		} else if err != nil {
			return nil, err
		}
		x.known.add(i)
	}
	w.use(i)
	return i, nil
}

// use has an incident written at the end of the transaction if it changes.
func (w *writing) use(i *incident) {
	if !i.active {
		i.active = true
		w.active = append(w.active, i)
	}
}

func (w *writing) loadDesks(i *incident) error {
	if i.loaded {
		return nil
	}
	rows, err := w.index.prepared[selectDesks].Query(i.id)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		d := new(desk)
		if err := rows.Scan(&d.number, &d.told, &d.closed); err != nil {
			return err
		}
		i.desks = append(i.desks, d)
	}
	i.loaded = true
	return rows.Err()
}

// save writes what has changed of an incident.
func (w *writing) save(i *incident) (err error) {
	i.active = false
	switch {
	case i.isNew:
		err = w.exec(insertIncident, i.id, i.operator, i.incident, i.record, i.revision)
	case i.changed:
		err = w.exec(updateIncident, i.record, i.revision, i.id)
	}
	if err != nil {
		return err
	}
	i.isNew, i.changed = false, false
	for _, d := range i.desks {
		if !d.changed {
			continue
		}
		if err := w.exec(putDesk, i.id, d.number, d.told, d.closed); err != nil {
			return err
		}
		d.changed = false
	}
	return nil
}
