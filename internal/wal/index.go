package wal

// slot says where the record of an entry lies.
type slot struct {
	segment        *segment
	offset, length uint32
}

// index is the run of live entries: where each lies, without gaps.
type index struct {
	// first is the index of slots[0]; it means nothing while there are none.
	first uint64
	slots []slot
	// bytes is the sum of the lengths of slots.
	bytes int64
}

func (x *index) empty() bool { return len(x.slots) == 0 }

// firstIndex is the oldest index, 0 when there is none.
func (x *index) firstIndex() uint64 {
	if x.empty() {
		return 0
	}
	return x.first
}

// lastIndex is the newest index, 0 when there is none.
func (x *index) lastIndex() uint64 {
	if x.empty() {
		return 0
	}
	return x.first + uint64(len(x.slots)) - 1
}

// slot returns where the entry at i lies, false when it is not in the run.
func (x *index) slot(i uint64) (slot, bool) {
	if x.empty() || i < x.first || i > x.lastIndex() {
		return slot{}, false
	}
	return x.slots[i-x.first], true
}

// add puts the entry at i behind the run. It is false, and nothing is done,
// when i is not the next index.
func (x *index) add(i uint64, s slot) bool {
	if x.empty() {
		x.first = i
	} else if i != x.lastIndex()+1 {
		return false
	}
	x.slots = append(x.slots, s)
	x.bytes += int64(s.length)
	return true
}

// cutBack drops every entry behind last.
func (x *index) cutBack(last uint64) {
	if x.empty() || last >= x.lastIndex() {
		return
	}
	keep := uint64(0)
	if last >= x.first {
		keep = last - x.first + 1
	}
	x.forget(x.slots[keep:])
	x.slots = x.slots[:keep]
}

// cutFront drops every entry before first.
func (x *index) cutFront(first uint64) {
	if x.empty() || first <= x.first {
		return
	}
	drop := min(first-x.first, uint64(len(x.slots)))
	x.forget(x.slots[:drop])
	x.slots = x.slots[drop:]
	x.first = first
}

// forget takes the slots off the sum, and off the memory behind the slice: a
// slot would hold its segment there.
func (x *index) forget(slots []slot) {
	for i := range slots {
		x.bytes -= int64(slots[i].length)
	}
	clear(slots)
}

// cache holds the newest entries in memory, bounded by bytes.
type cache struct {
	// first is the index of entries[0]; it means nothing while there are none.
	first           uint64
	entries         []Entry
	bytes, bytesMax int64
}

// entryOverhead is what an entry takes beside its bytes: the struct (88) and
// its share of a slice that is half full.
const entryOverhead = 128

func cost(e Entry) int64 {
	return entryOverhead + int64(len(e.Data)) + int64(len(e.Extensions))
}

// entry returns the entry at i, false when it is not held.
func (c *cache) entry(i uint64) (Entry, bool) {
	if i < c.first || i-c.first >= uint64(len(c.entries)) {
		return Entry{}, false
	}
	return c.entries[i-c.first], true
}

// add takes e as the newest entry and lets the oldest go where the bound asks
// for it.
func (c *cache) add(e Entry) {
	if len(c.entries) == 0 || e.Index != c.first+uint64(len(c.entries)) {
		c.cutBack(0)
		c.first = e.Index
	}
	c.entries = append(c.entries, e)
	c.bytes += cost(e)
	drop := 0
	for bytes := c.bytes; bytes > c.bytesMax; drop++ {
		bytes -= cost(c.entries[drop])
	}
	c.cutFront(c.first + uint64(drop))
}

// cutBack drops every entry behind last.
func (c *cache) cutBack(last uint64) {
	keep := 0
	if last >= c.first {
		keep = int(min(last-c.first+1, uint64(len(c.entries))))
	}
	c.forget(c.entries[keep:])
	c.entries = c.entries[:keep]
}

// cutFront drops every entry before first.
func (c *cache) cutFront(first uint64) {
	if first <= c.first {
		return
	}
	drop := min(first-c.first, uint64(len(c.entries)))
	c.forget(c.entries[:drop])
	c.entries = c.entries[drop:]
	c.first = first
}

func (c *cache) forget(entries []Entry) {
	for i := range entries {
		c.bytes -= cost(entries[i])
	}
	clear(entries)
}
