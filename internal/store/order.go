package store

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"sync"
)

// order is the keys of a layer in their order, as far as anybody has asked for
// it: most writes are never scanned, and to put each where it belongs would cost
// more than all else that is done with it. Who scans a space puts the keys in
// order that came since the last scan.
//
// The keys of a space are in runs. A run never changes and is less than half as
// long as the one before it, so there are few, and each key moves to a longer
// one only now and then.
type order struct {
	// mu guards what follows. It is held while keys are sorted, and never by
	// who writes to the layer.
	mu     sync.Mutex
	spaces [len(spaces)]runs
}

// runs is the keys of one space in order.
type runs struct {
	// upto is the address of the last key that is in a run.
	upto uint32
	// all is made anew where it changes: others walk over it.
	all []run
}

// run is keys in order: each is the address of the first write of the key.
type run []uint32

// runs is all keys of a space that were committed when it was called, and maybe
// newer ones.
func (l *layer) runs(space Space) []run {
	at := rank(space)
	l.order.mu.Lock()
	defer l.order.mu.Unlock()
	known, newest := &l.order.spaces[at], l.first[at].Load()
	var added run
	for address := newest; address != known.upto; address = l.records.at(address).link {
		added = append(added, address)
	}
	if len(added) > 0 {
		known.upto = newest
		l.records.sort(added)
		known.all = l.records.join(known.all, added)
	}
	return known.all
}

// join puts a run behind others, and those that are not twice as long into it.
func (r *records) join(all []run, added run) []run {
	kept := len(all)
	for kept > 0 && len(all[kept-1]) < 2*len(added) {
		kept--
		added = r.merge(all[kept], added)
	}
	return append(slices.Clone(all[:kept]), added)
}

func (r *records) merge(a, b run) run {
	merged := make(run, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if bytes.Compare(r.key(a[0]), r.key(b[0])) < 0 {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return append(append(merged, a...), b...)
}

// within is what of a run is not below one key, and below the other.
func (r *records) within(keys run, lower, upper []byte) run {
	keys = keys[r.find(keys, lower):]
	return keys[:r.find(keys, upper)]
}

// find is where a key stands in a run, or would.
func (r *records) find(keys run, key []byte) int {
	at, _ := slices.BinarySearchFunc(keys, key, func(address uint32, key []byte) int {
		return bytes.Compare(r.key(address), key)
	})
	return at
}

// sort puts the addresses of records of one space in order of their keys. It
// takes a part of each key along that tells most of them apart: to compare two
// keys where they are would mean to wait for memory twice.
func (r *records) sort(addresses []uint32) {
	if len(addresses) < 2 {
		return
	}
	common := r.common(addresses)
	type telling struct {
		part    uint64
		address uint32
	}
	all := make([]telling, len(addresses))
	for i, address := range addresses {
		var part [8]byte
		copy(part[:], r.key(address)[common:])
		all[i] = telling{binary.BigEndian.Uint64(part[:]), address}
	}
	slices.SortFunc(all, func(a, b telling) int {
		if a.part != b.part {
			return cmp.Compare(a.part, b.part)
		}
		return bytes.Compare(r.key(a.address), r.key(b.address))
	})
	for i := range all {
		addresses[i] = all[i].address
	}
}

// common is how many bytes all keys have in common at their beginning.
func (r *records) common(addresses []uint32) int {
	first := r.key(addresses[0])
	for _, address := range addresses[1:] {
		key := r.key(address)
		first = first[:min(len(first), len(key))]
		for i := range first {
			if key[i] != first[i] {
				first = first[:i]
				break
			}
		}
	}
	return len(first)
}
