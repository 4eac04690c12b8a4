package store

import "sync/atomic"

// table finds numbers by the hashes of their keys. A number stands in the first
// place that was free from where its hash points to, so whoever looks for a key
// takes all numbers under its hash and compares. There are no pointers in it,
// so the garbage collector has nothing to look at.
//
// One goroutine writes; any number may read, and find what was there when they
// came to know of it.
type table struct {
	// slots is as long as a power of two, and never full. A slot is a hash and
	// behind it a number; it is 0 where it is free. It is a pointer because
	// slots are replaced by more of them under those who read.
	slots atomic.Pointer[[]atomic.Uint64]
	count int
}

// slotsMin is how many slots a table begins with.
const slotsMin = 64

// slotBytes is what one slot takes.
const slotBytes = 8

func (t *table) init() {
	slots := make([]atomic.Uint64, slotsMin)
	t.slots.Store(&slots)
}

// bytes is what the table takes.
func (t *table) bytes() int { return len(*t.slots.Load()) * slotBytes }

// probe is a walk over the numbers under a hash.
type probe struct {
	slots []atomic.Uint64
	hash  uint32
	at    uint32 // the slot of the number that next returned
}

func (t *table) probe(hash uint32) probe {
	return probe{slots: *t.slots.Load(), hash: hash, at: hash - 1}
}

// next is the next number, or 0 where there is no more. The probe stands at the
// slot where another one belongs then.
func (p *probe) next() uint32 {
	for {
		p.at = (p.at + 1) & uint32(len(p.slots)-1)
		slot := p.slots[p.at].Load()
		if slot == 0 || uint32(slot>>32) == p.hash {
			return uint32(slot)
		}
	}
}

// set puts a number where the probe stands, in the place of the one that next
// returned.
func (p *probe) set(number uint32) { p.slots[p.at].Store(uint64(p.hash)<<32 | uint64(number)) }

// add puts one more number where a probe stands, for which next returned 0.
func (t *table) add(p *probe, number uint32) {
	p.set(number)
	if t.count++; t.count > len(p.slots)/4*3 {
		t.grow(p.slots)
	}
}

// grow makes twice as many slots.
func (t *table) grow(old []atomic.Uint64) {
	slots := make([]atomic.Uint64, 2*len(old))
	for i := range old {
		slot := old[i].Load()
		if slot == 0 {
			continue
		}
		at := home(slot, slots)
		for slots[at].Load() != 0 {
			at = (at + 1) & uint32(len(slots)-1)
		}
		slots[at].Store(slot)
	}
	t.slots.Store(&slots)
}

// home is where the hash of a slot points to.
func home(slot uint64, slots []atomic.Uint64) uint32 { return uint32(slot>>32) & uint32(len(slots)-1) }

// remove takes out the number where a probe stands, and moves those up that
// would not be found any more behind a free slot. Nobody may read meanwhile.
func (t *table) remove(p *probe) {
	t.count--
	slots, mask, free := p.slots, uint32(len(p.slots)-1), p.at
	for at := (free + 1) & mask; ; at = (at + 1) & mask {
		slot := slots[at].Load()
		if slot == 0 {
			break
		}
		// It may go where it is free if that is not before its home.
		if (at-home(slot, slots))&mask >= (at-free)&mask {
			slots[free].Store(slot)
			free = at
		}
	}
	slots[free].Store(0)
}

// slotsKept is up to how many slots are worth to be cleared and used again.
const slotsKept = 8 << 10

// clear takes all numbers out. Nobody may read meanwhile.
func (t *table) clear() {
	t.count = 0
	if slots := *t.slots.Load(); len(slots) <= slotsKept {
		clear(slots)
		return
	}
	t.init()
}
