package store

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync/atomic"

	"github.com/quorate/quorate/internal/invariant"
)

// layer is the newest writes, in memory. They go into Pebble all together, as
// one batch: see spill.go.
//
// All that was ever written to a layer stays in it until it goes as a whole, so
// a view needs no more than the number of the newest commit that it sees: of
// each key it takes the newest write that is not above.
//
// One goroutine writes, and commits what it has written by telling the number
// of the commit; any number may read.
type layer struct {
	seed seed
	// newest finds the address of the newest write of a key.
	newest  table
	records records
	// first is the address of the first write of the key that came last into a
	// space, as it stands in spaces.
	first [len(spaces)]atomic.Uint32
	order order

	// meta and sequence are those of the newest commit in the layer. They are
	// set when it is frozen.
	meta     Meta
	sequence uint64
	// spilled is closed when all of it is in Pebble.
	spilled chan struct{}
}

// seed makes the hash of a key. Each store has another one, which nobody outside
// knows, so nobody can choose keys that have the same hash.
type seed maphash.Seed

func (s seed) hash(key []byte) uint32 { return uint32(maphash.Bytes(maphash.Seed(s), key)) }

func newLayer(seed seed) *layer {
	l := &layer{seed: seed, spilled: make(chan struct{})}
	l.newest.init()
	l.records.init()
	return l
}

// bytes is what the layer takes.
func (l *layer) bytes() int { return int(l.records.size.Load()) + l.newest.bytes() }

// put writes to the layer.
func (l *layer) put(sequence uint64, w *write) {
	r := record{sequence: sequence, key: w.key, value: w.value}
	if w.deleted {
		r.flags, r.value = flagDeleted, nil
	}
	p := l.newest.probe(w.hash)
	before := l.seek(&p, w.key)
	if before != 0 {
		r.link = before
		p.set(l.records.add(r))
		return
	}
	first := &l.first[rank(Space(w.key[0]))]
	r.flags, r.link = r.flags|flagFirst, first.Load()
	address := l.records.add(r)
	first.Store(address)
	l.newest.add(&p, address)
}

// seek is the address of the newest write of a key, 0 if there is none.
func (l *layer) seek(p *probe, key []byte) uint32 {
	for {
		address := p.next()
		if address == 0 || bytes.Equal(l.records.key(address), key) {
			return address
		}
	}
}

// get is the newest write of a key that is not above a commit.
func (l *layer) get(key []byte, sequence uint64) (w record, ok bool) {
	p := l.newest.probe(l.seed.hash(key))
	address := l.seek(&p, key)
	for address != 0 {
		w = l.records.at(address)
		if w.sequence <= sequence {
			return w, true
		}
		if w.flags&flagFirst != 0 {
			break
		}
		address = w.link
	}
	return record{}, false
}

// rank is where a space stands among spaces.
func rank(space Space) int {
	i := slices.Index(spaces[:], space)
	invariant.Must(i >= 0, "space %q is one that a state has", byte(space))
	return i
}

// keys is the newest write of each key of each space, by address, in order of
// the keys. Nobody may write to the layer any more.
func (l *layer) keys() (keys [len(spaces)][]uint32) {
	slots := *l.newest.slots.Load()
	for i := range slots {
		if address := uint32(slots[i].Load()); address != 0 {
			space := rank(Space(l.records.key(address)[0]))
			keys[space] = append(keys[space], address)
		}
	}
	for _, addresses := range keys {
		l.records.sort(addresses)
	}
	return keys
}
