package quorate

import (
	"fmt"
	"iter"
	"reflect"
	"sync"
	"time"
)

// Table is rows of type V by keys of type K, in the order of the keys.
//
// A key is a string, bytes, an integer, a bool, a time or a struct of these; its type
// never changes. A row is made of bools, numbers, strings, times, Values, pointers,
// slices, arrays, maps and structs of these, as far as exported and not json:"-".
//
// Structs of a row may get fields at their end, and integers may become wider. In old
// rows new fields are zero; while they are, the bytes are those of an older program.
// To read a row with more fields than V, or a damaged one, is a panic.
type Table[K, V any] struct{ made *table[K, V] }

// table is a Table as NewTable makes it.
type table[K, V any] struct {
	name   string
	prefix string // of all keys in the state
	key    keyParts
	row    rowFields
	rooms  sync.Pool // of *tableRoom[K, V]
}

// tableRoom is where one key and one row at a time is written or read, so that
// neither is allocated for it.
type tableRoom[K, V any] struct {
	key          K
	row          V
	keyAt, rowAt reflect.Value // key and row
	bytes        []byte
	reader       rowReader
}

// tableRoomBytesMax bounds the bytes that stay in a room: most rows fit.
const tableRoomBytesMax = 16 << 10

// NewTable makes a table, or panics if a type has no form. Its name, of 1 to 64 bytes
// without 0, is one in the service. Tables never meet, nor keys of Tx.Set in UTF-8.
func NewTable[K, V any](name string) Table[K, V] {
	t := &table[K, V]{name: name}
	if err := t.plan(); err != nil {
		panic(fmt.Sprintf("quorate: table %q: %v", name, err))
	}
	t.rooms.New = func() any {
		r := new(tableRoom[K, V])
		r.keyAt, r.rowAt = reflect.ValueOf(&r.key).Elem(), reflect.ValueOf(&r.row).Elem()
		return r
	}
	return Table[K, V]{t}
}

func (t *table[K, V]) plan() (err error) {
	if t.prefix, err = tablePrefix(tableTag, t.name); err != nil {
		return err
	}
	if t.key, err = keyPartsOf(reflect.TypeFor[K](), true); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	if t.row, err = rowFieldsOf(reflect.TypeFor[V](), nil); err != nil {
		return fmt.Errorf("row: %w", err)
	}
	return nil
}

// Get is the row under key, if there is one.
func (t Table[K, V]) Get(from Reader, key K) (row V, found bool) {
	view := from.view()
	place := t.table().place(view, key)
	stored, found := view.Get(place)
	if !found {
		return row, false
	}
	return t.made.readRow(place, stored), true
}

// Put stores a row for good, as Tx.Set does: over a limit, the command fails.
func (t Table[K, V]) Put(tx *Tx, key K, row V) {
	place := t.table().place(&tx.View, key)
	tx.Set(place, t.made.writeRow(&tx.View, row))
}

// PutUntil stores a row until log time reaches end, as Tx.SetUntil does.
func (t Table[K, V]) PutUntil(tx *Tx, key K, row V, end time.Time) {
	place := t.table().place(&tx.View, key)
	tx.SetUntil(place, t.made.writeRow(&tx.View, row), end)
}

// Delete removes a row, if it is there.
func (t Table[K, V]) Delete(tx *Tx, key K) { tx.Delete(t.table().place(&tx.View, key)) }

// Range yields the rows within all bounds in order, as View.Scan shows them.
func (t Table[K, V]) Range(from Reader, bounds ...Bound[K]) iter.Seq2[K, V] {
	made := t.table()
	within := spanOf(made.prefix)
	for i := range bounds {
		within.narrow(bounds[i].kind, made.placeOf(&bounds[i]))
	}
	return func(yield func(K, V) bool) {
		for place, stored := range within.scan(from.view()) {
			if !yield(made.readKey(place), made.readRow(place, stored)) {
				return
			}
		}
	}
}

func (t Table[K, V]) table() *table[K, V] {
	if t.made == nil {
		panic("quorate: a table that NewTable did not make")
	}
	return t.made
}

// place is the key of the state under which a row stands.
func (t *table[K, V]) place(view *View, key K) []byte {
	r := t.rooms.Get().(*tableRoom[K, V])
	r.key = key
	r.bytes = t.key.append(append(r.bytes, t.prefix...), r.keyAt)
	place := append(view.makeRoom(len(r.bytes)), r.bytes...)
	t.giveBack(r)
	return place
}

// placeOf is where the key of a bound stands, or as much of it as counts.
func (t *table[K, V]) placeOf(b *Bound[K]) []byte {
	b.checkLeading(len(t.key))
	parts := t.key
	if b.kind == boundLeading {
		parts = parts[:b.fields]
	}
	key := b.key
	return parts.append([]byte(t.prefix), reflect.ValueOf(&key).Elem())
}

func (t *table[K, V]) readKey(place []byte) (key K) {
	r := t.rooms.Get().(*tableRoom[K, V])
	rest, ok := t.key.read(r.keyAt, place[len(t.prefix):])
	key = r.key
	t.giveBack(r)
	if !ok || len(rest) > 0 {
		panic(fmt.Sprintf("quorate: key %.64q of table %s is not a %s: it is damaged, or of a table with other keys",
			place[len(t.prefix):], t.name, reflect.TypeFor[K]()))
	}
	return key
}

func (t *table[K, V]) writeRow(view *View, row V) []byte {
	r := t.rooms.Get().(*tableRoom[K, V])
	r.row = row
	r.bytes = t.row.append(append(r.bytes, rowVersion), r.rowAt)
	stored := append(view.makeRoom(len(r.bytes)), r.bytes...)
	t.giveBack(r)
	return stored
}

func (t *table[K, V]) readRow(place, stored []byte) (row V) {
	r := t.rooms.Get().(*tableRoom[K, V])
	r.reader.bytes = stored
	t.row.readRow(&r.reader, r.rowAt)
	row, err := r.row, r.reader.err
	t.giveBack(r)
	if err != nil {
		panic(fmt.Sprintf("quorate: row %.64q of table %s is not a %s: %v; it is damaged, or a newer program wrote it",
			place[len(t.prefix):], t.name, reflect.TypeFor[V](), err))
	}
	return row
}

// giveBack empties a room for the next.
func (t *table[K, V]) giveBack(r *tableRoom[K, V]) {
	var (
		key K
		row V
	)
	r.key, r.row, r.reader, r.bytes = key, row, rowReader{}, r.bytes[:0]
	if cap(r.bytes) <= tableRoomBytesMax {
		t.rooms.Put(r)
	}
}
