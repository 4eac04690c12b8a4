package store

import (
	"encoding/binary"
	"math"
	"sync/atomic"

	"github.com/quorate/quorate/internal/invariant"
)

// A write in memory is a record, numbers little-endian:
//
//	┌──────────────┬──────────┬───────────┬─────────┬──────────┬─────┬───────┐
//	│ sequence u64 │ link u32 │ value u32 │ key u16 │ flags u8 │ key │ value │
//	└──────────────┴──────────┴───────────┴─────────┴──────────┴─────┴───────┘
//
// sequence is the number of the commit, value and key are lengths; the key has
// its space in front. link is the address of the write of the same key before
// this one, or where it is the first one of its key, that of the first write
// of the key that came into the same space before; 0 where there is none.
type record struct {
	sequence   uint64
	link       uint32
	flags      byte
	key, value []byte
}

const recordHead = 8 + 4 + 4 + 2 + 1

const _ = uint(math.MaxUint16 - 1 - keyBytesMax) // must not be negative

// The flags of a record.
const (
	flagDeleted = 1 << iota
	flagFirst   // of its key
)

// records is memory for records. It only grows, and a record never changes, so
// any number of goroutines may read what one has written and told them the
// address of.
type records struct {
	// chunks are addressed one behind the other, each as chunkBytes long.
	chunks atomic.Pointer[[][]byte]
	// open is the chunk that is being filled, used how much of it is.
	open, used int
	// size is the bytes of all chunks.
	size atomic.Int64
}

const (
	// chunkBits is 16: 64 KiB are room for about a thousand small writes.
	chunkBits  = 16
	chunkBytes = 1 << chunkBits
	// firstBytes is the first chunk: little for a store that holds next to
	// nothing.
	firstBytes = 4 << 10
	// looseBytes is from which size on a record has chunks of its own: so no
	// more than an eighth of a chunk is left empty behind the last record.
	looseBytes = chunkBytes / 8
)

func (r *records) init() {
	r.chunks.Store(&[][]byte{make([]byte, firstBytes)})
	r.size.Store(firstBytes)
	r.used = 1 // 0 is the address of nothing
}

// at is the record at an address.
func (r *records) at(address uint32) record {
	data := (*r.chunks.Load())[address>>chunkBits][address&(chunkBytes-1):]
	head := data[:recordHead]
	key := recordHead + int(binary.LittleEndian.Uint16(head[16:]))
	value := key + int(binary.LittleEndian.Uint32(head[12:]))
	return record{
		sequence: binary.LittleEndian.Uint64(head),
		link:     binary.LittleEndian.Uint32(head[8:]),
		flags:    head[18],
		key:      data[recordHead:key:key],
		value:    data[key:value:value],
	}
}

// key is the key of the record at an address.
func (r *records) key(address uint32) []byte {
	data := (*r.chunks.Load())[address>>chunkBits][address&(chunkBytes-1):]
	key := recordHead + int(binary.LittleEndian.Uint16(data[16:]))
	return data[recordHead:key:key]
}

// add copies a record and returns where it is.
func (r *records) add(w record) (address uint32) {
	address, data := r.room(recordHead + len(w.key) + len(w.value))
	binary.LittleEndian.PutUint64(data, w.sequence)
	binary.LittleEndian.PutUint32(data[8:], w.link)
	binary.LittleEndian.PutUint32(data[12:], uint32(len(w.value)))
	binary.LittleEndian.PutUint16(data[16:], uint16(len(w.key)))
	data[18] = w.flags
	copy(data[recordHead:], w.key)
	copy(data[recordHead+len(w.key):], w.value)
	return address
}

// room is n bytes that nobody has used, and their address.
func (r *records) room(n int) (address uint32, data []byte) {
	if n >= looseBytes {
		which := r.extend(n)
		return uint32(which << chunkBits), (*r.chunks.Load())[which]
	}
	chunk := (*r.chunks.Load())[r.open]
	if r.used+n > len(chunk) {
		r.open, r.used = r.extend(chunkBytes), 0
		chunk = (*r.chunks.Load())[r.open]
	}
	address = uint32(r.open<<chunkBits + r.used)
	data = chunk[r.used : r.used+n]
	r.used += n
	return address, data
}

// extend adds a chunk of n bytes, and returns which one it is. Where it is
// longer than others it takes the addresses of as many as it needs.
func (r *records) extend(n int) int {
	chunks := *r.chunks.Load()
	which := len(chunks)
	chunks = append(chunks, make([]byte, n))
	chunks = append(chunks, make([][]byte, pieces(n)-1)...)
	invariant.Must(len(chunks) <= math.MaxUint32>>chunkBits, "what is in memory has addresses of 32 bits")
	r.size.Add(int64(n))
	r.chunks.Store(&chunks)
	return which
}

// pieces is how many chunks n bytes take the addresses of.
func pieces(n int) int { return (n + chunkBytes - 1) >> chunkBits }
