package entry_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
)

// slowCheck decodes the check of an entry in the plainest way there is.
func slowCheck(data []byte) (check entry.StateCheck) {
	if data[0] == 2 {
		check.Index = binary.LittleEndian.Uint64(data[18:26])
		check.Hash = binary.LittleEndian.Uint64(data[26:34])
	}
	return check
}

// slowCalls decodes the calls of an entry in the plainest way there is. It is
// what the fast ways are compared with.
func slowCalls(data []byte) (calls []quorate.Call, ok bool) {
	if len(data) < 18 || data[0] < 1 || data[0] > 2 || data[1] != 1 || data[0] == 2 && len(data) < 34 {
		return nil, false
	}
	data, ok = data[18+16*(int(data[0])-1):], true
	take := func(n uint64) (taken []byte) {
		if !ok || n > uint64(len(data)) {
			ok = false
			return nil
		}
		taken, data = data[:n], data[n:]
		return taken
	}
	small := func() uint64 {
		if b := take(1); ok {
			return uint64(b[0])
		}
		return 0
	}
	number := func() uint64 {
		n, size := binary.Uvarint(data)
		if take(uint64(max(size, 0))); size <= 0 {
			ok = false
		}
		return n
	}
	count := number()
	if count > entry.CallsMax {
		return nil, false
	}
	for i := uint64(0); i < count && ok; i++ {
		var c quorate.Call
		flags := small()
		c.Name = string(take(small()))
		if flags&1 != 0 {
			c.ID = quorate.CallID(take(small()))
		}
		if flags&2 != 0 {
			c.Read = time.Duration(number())
		}
		if flags&4 != 0 {
			c.Settled = number()
		}
		ok = ok && flags < 8 && c.Read >= 0
		for left := number(); left > 0 && ok; left-- {
			var arg []byte
			if size := number(); size > 0 {
				arg = take(size - 1)
			}
			c.Args = append(c.Args, arg)
		}
		calls = append(calls, c)
	}
	return calls, ok && len(data) == 0
}

// mustDecodeTheSame decodes an entry in each way and with the memory of the
// entries before. All must come to the same.
func mustDecodeTheSame(t testing.TB, memory *entry.Calls, data []byte) {
	t.Helper()
	want, ok := slowCalls(data)
	header, calls, err := entry.Decode(data)
	header2, err2 := memory.Open(data)
	if (err == nil) != ok || (err2 == nil) != ok {
		t.Fatalf("%x: %v and %v, want that it is an entry: %v", data, err, err2, ok)
	}
	if err != nil {
		if err.Error() != err2.Error() || memory.Left() != 0 {
			t.Fatalf("%x: %v and %v, with %d calls", data, err, err2, memory.Left())
		}
		return
	}
	if header != header2 || header.Check != slowCheck(data) || len(calls) != len(want) || memory.Left() != len(want) {
		t.Fatalf("%x: %v and %v, %d and %d calls, want %d", data, header, header2, len(calls), memory.Left(), len(want))
	}
	var ids []quorate.CallID
	for i := range want {
		mustBeSameCall(t, calls[i], want[i])
		next := *memory.Next()
		mustBeSameCall(t, next, want[i])
		ids = append(ids, next.ID)
	}
	for i := range ids {
		if ids[i] != want[i].ID {
			t.Fatalf("%x: id %d has become %q", data, i, ids[i])
		}
	}
}

func TestCallsOneAtATimeAreThoseOfTheEntry(t *testing.T) {
	var memory entry.Calls
	for _, input := range hostile() {
		mustDecodeTheSame(t, &memory, input)
	}
	for _, name := range goldenNames() {
		mustDecodeTheSame(t, &memory, mustReadHex(t, name))
	}
	for _, n := range []int{0, 1, 1000, 10} {
		data := entry.Append(nil, entry.Header{Seed: 1}, increments(n))
		for cut := range min(len(data), 50) {
			mustDecodeTheSame(t, &memory, data[:len(data)-cut])
		}
	}
}

func TestCallsOneAtATimeTakeNoMemory(t *testing.T) {
	plain := entry.Append(nil, entry.Header{}, increments(64))
	named := increments(64)
	for i := range named {
		named[i].ID = quorate.CallID(engine.SessionID("0123456789abcdef", uint64(i+1)))
	}
	withIDs := entry.Append(nil, entry.Header{}, named)
	var calls entry.Calls
	for want, data := range map[float64][]byte{0: plain, 1: withIDs} {
		got := testing.AllocsPerRun(100, func() {
			if _, err := calls.Open(data); err != nil {
				t.Fatal(err)
			}
			for calls.Left() > 0 {
				calls.Next()
			}
		})
		if got > want {
			t.Errorf("64 calls are %v allocations, want %v", got, want)
		}
	}
}
