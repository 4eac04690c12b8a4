package quorate_test

import (
	"bytes"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/values"
)

// slowAll makes an All of arguments in the plainest way there is. It is what the
// fast way is compared with.
func slowAll(args [][]byte) (a All, ok bool) {
	ok = len(args) >= 9 // those that have to be there
	arg := func(i int) []byte {
		if i < len(args) {
			return args[i]
		}
		return nil
	}
	for i := range 9 {
		ok = ok && arg(i) != nil
	}
	check := func(err error) { ok = ok && err == nil }
	var err error
	integer := func(arg []byte, bits int) int64 {
		n, err := strconv.ParseInt(string(arg), 10, bits)
		check(err)
		return n
	}
	if !ok {
		return All{}, false
	}
	a.Text, a.Raw = string(arg(0)), []byte(string(arg(1)))
	a.Yes, err = strconv.ParseBool(string(arg(2)))
	check(err)
	a.Small, a.Big = int8(integer(arg(3), 8)), integer(arg(4), 64)
	a.Count, err = strconv.ParseUint(string(arg(5)), 10, 64)
	check(err)
	a.Ratio, err = strconv.ParseFloat(string(arg(6)), 64)
	check(err)
	half, err := strconv.ParseFloat(string(arg(7)), 32)
	check(err)
	a.Half, a.Any = float32(half), slowValue(arg(8))
	if given := arg(9); given != nil {
		text := string(given)
		a.MaybeText = &text
	}
	if given := arg(10); given != nil {
		n := integer(given, 64)
		a.Maybe = &n
	}
	if given := arg(11); given != nil {
		v := slowValue(given)
		a.MaybeAny = &v
	}
	a.Preset, a.Word = -7, "word"
	if given := arg(12); given != nil {
		a.Preset = integer(given, 64)
	}
	if given := arg(13); given != nil {
		a.Word = string(given)
	}
	a.Rest = []quorate.Value{}
	for i := 14; i < len(args); i++ {
		a.Rest = append(a.Rest, slowValue(args[i]))
	}
	return a, ok
}

func slowValue(arg []byte) quorate.Value {
	if bytes.HasPrefix(arg, []byte{0}) {
		return values.Bytes(arg[1:])
	}
	if n, err := strconv.ParseInt(string(arg), 10, 64); err == nil && strconv.FormatInt(n, 10) == string(arg) {
		return values.Int(n)
	}
	return values.Bytes(arg)
}

// seenAll is All, and leaves in the state what it was made as.
type seenAll All

func (a seenAll) Apply(tx *quorate.Tx) (int64, error) {
	tx.Set([]byte("all"), fmt.Appendf(nil, "%s", printed(All(a))))
	return 0, nil
}

// printed is all of an All, with what pointers point to.
func printed(a All) string {
	var text strings.Builder
	v := reflect.ValueOf(a)
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Pointer && !f.IsNil() {
			fmt.Fprintf(&text, "pointer to ")
			f = f.Elem()
		}
		fmt.Fprintf(&text, "%s: %#v\n", v.Type().Field(i).Name, f.Interface())
	}
	return text.String()
}

// Arguments make the same command in a room that was used before as in the
// plainest way, whatever was made there last, and those that make none are
// refused by both.
func FuzzArgumentsMakeWhatTheySay(f *testing.F) {
	for _, text := range []string{
		"t|r|1|-8|1|2|0.5|0.25|7", "t|r|1|-8|1|2|0.5|0.25|7|m|-1|\x00-0|9|word|1|01|\x001",
		"|r|true|-129|1|2|0.5|0.25|", "t|r|0|1|1|2|NaN|1e39|-0", "\xff||0|1|1|2|0|0|\x00\x00||||||~|5",
		strings.Repeat("x", 200) + "|r|1|-8|1|2|0.5|0.25|" + strings.Repeat("9", 19),
	} {
		f.Add([]byte(text))
	}
	service := quorate.Define("seen", quorate.Write[seenAll]("ALL"))
	f.Fuzz(func(t *testing.T, text []byte) {
		args := bytes.Split(text, []byte("|"))
		for i := range args {
			if string(args[i]) == "~" {
				args[i] = nil // left out
			}
		}
		state := memory.State{}
		call := quorate.Call{Name: "ALL", Args: args}
		want, ok := slowAll(args)
		op, err := quorate.Engine().Check(service, call)
		if ok != (err == nil) {
			t.Fatalf("%q: %v, want that it is taken: %v", args, err, ok)
		}
		if err != nil {
			return
		}
		if _, err := quorate.Engine().Apply(op, quorate.Engine().NewTx(state, engine.Moment{}), args); err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		if got := state["all"].Value; got != printed(want) {
			t.Fatalf("%q makes\n%s, want\n%s", args, got, printed(want))
		}
	})
}

// keeper is a command that keeps what it is given, as none should.
type keeper struct {
	Key   string
	Raw   []byte
	Maybe *int64
	Rest  []string
}

var kept []keeper

func (k keeper) Apply(*quorate.Tx) (quorate.Value, error) {
	kept = append(kept, k)
	return values.Bytes(k.Key), nil
}

// What is made of the arguments of one call is not touched by those of the next.
func TestWhatACommandWasGivenStays(t *testing.T) {
	service := quorate.Define("keepers", quorate.Write[keeper]("KEEP"))
	op := mustOperation(t, service, "KEEP")
	kept = nil
	const calls = 500
	var answers []quorate.Value
	args := [][]byte{nil, nil, nil, nil, nil}
	for i := range calls {
		for j := range args {
			args[j] = strconv.AppendInt(args[j][:0], int64(i+j), 10)
		}
		value, err := quorate.Engine().Apply(op, quorate.Engine().NewTx(memory.State{}, engine.Moment{}), args)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, value)
	}
	for i, k := range kept {
		got := fmt.Sprint(answers[i].Text(), k.Key, string(k.Raw), *k.Maybe, k.Rest)
		if want := fmt.Sprint(i, i, i+1, i+2, []int{i + 3, i + 4}); strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
			t.Fatalf("call %d was given %s, want %s", i, got, want)
		}
	}
}

// keepsItself is a command that keeps the pointer it is called through.
type keepsItself struct{ Key string }

var itself []*keepsItself

func (k *keepsItself) Check() error {
	itself = append(itself, k)
	return nil
}

func (k *keepsItself) Apply(*quorate.Tx) (string, error) {
	itself = append(itself, k)
	return k.Key, nil
}

// checksItself keeps the pointer it is checked through.
type checksItself struct{ Key string }

var checked []*checksItself

func (c *checksItself) Check() error {
	checked = append(checked, c)
	return nil
}

func (c checksItself) Apply(*quorate.Tx) (string, error) { return c.Key, nil }

// A method of a pointer may keep it: it has a struct of its own.
func TestMethodOfAPointerHasAStructOfItsOwn(t *testing.T) {
	service := quorate.Define("pointers",
		quorate.Write[*keepsItself]("ITSELF"), quorate.Write[checksItself]("CHECKED"))
	itself, checked = nil, nil
	var want []string
	for i := range 10 {
		key := strconv.Itoa(i)
		for _, name := range []string{"ITSELF", "CHECKED"} {
			call := quorate.Call{Name: name, Args: [][]byte{[]byte(key)}}
			op, err := quorate.Engine().Check(service, call)
			if err != nil {
				t.Fatal(err)
			}
			value, err := quorate.Engine().Apply(op, quorate.Engine().NewTx(memory.State{}, engine.Moment{}), call.Args)
			if err != nil || value.Text() != key {
				t.Fatalf("%s of %s came to %v, %v", name, key, value, err)
			}
		}
		want = append(want, key)
	}
	var keys []string
	for i := range want {
		keys = append(keys, checked[i].Key)
		if itself[2*i].Key != want[i] || itself[2*i+1].Key != want[i] || itself[2*i] == itself[2*i+1] {
			t.Errorf("call %d kept %+v and %+v", i, itself[2*i], itself[2*i+1])
		}
	}
	if !reflect.DeepEqual(keys, want) {
		t.Errorf("checked %q, want %q", keys, want)
	}
}

// Calls are checked by many goroutines at once.
func TestCallsAreCheckedAtTheSameTime(t *testing.T) {
	service := quorate.Define("adders", quorate.Write[Add]("ADD"))
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 1000 {
				key := fmt.Sprintf("%d/%d", g, i)
				if i%3 == 0 {
					key = "forbidden"
				}
				_, err := quorate.Engine().Check(service, quorate.Call{Name: "ADD", Args: [][]byte{[]byte(key)}})
				if (key == "forbidden") != (err != nil) {
					t.Errorf("%s: %v", key, err)
				}
			}
		})
	}
	all.Wait()
}

// What Room gives belongs to one taker, also what he appends to it.
func TestRoomIsNobodyElses(t *testing.T) {
	var view quorate.View
	var rooms [][]byte
	sizes := []int{0, 1, 3, 20, 255, 256, 257, 2048, 5000}
	for i := range 2000 {
		if i%100 == 0 {
			quorate.Engine().ResetView(&view, memory.State{}, engine.Moment{})
		}
		size := sizes[i%len(sizes)]
		room := quorate.Engine().Room(&view, size)
		if len(room) != 0 || cap(room) != size {
			t.Fatalf("room for %d has length %d and capacity %d", size, len(room), cap(room))
		}
		for range size {
			room = append(room, byte(i))
		}
		// One more than there is room for goes elsewhere.
		if more := append(room, 0xee); size > 0 && unsafe.SliceData(more) == unsafe.SliceData(room) {
			t.Fatalf("room for %d holds %d", size, len(more))
		}
		rooms = append(rooms, room)
	}
	for i, room := range rooms {
		if !bytes.Equal(room, bytes.Repeat([]byte{byte(i)}, len(room))) {
			t.Fatalf("room %d holds %x, want %x only", i, room, byte(i))
		}
	}
}

// A transaction that is reset has nothing of the command before it.
func TestResetTransactionIsAsNew(t *testing.T) {
	at := engine.Moment{Index: 5, Seed: 7}
	visits := 0
	var tx quorate.Tx
	quorate.Engine().ResetTx(&tx, memory.State{"a": {Value: "1"}}, engine.Moment{Index: 4, Seed: 1, Visits: &visits})
	op := mustOperation(t, scripted, "SCRIPT")
	if _, err := quorate.Engine().Apply(op, &tx, [][]byte{[]byte("everything at once")}); err == nil {
		t.Fatal("a key that is empty was stored")
	}
	state := memory.State{}
	quorate.Engine().ResetTx(&tx, state, at)
	value, err := quorate.Engine().Apply(op, &tx, [][]byte{[]byte("writes and draws")})
	if want := quorate.Engine().NewTx(state, at).Rand().Uint64(); err != nil || value.Uint() != want || tx.Index() != at.Index {
		t.Errorf("after a reset, at %d: %v, %v, want %d", tx.Index(), value, err, want)
	}
	if state["b"].Value != "2" || len(state) != 1 {
		t.Errorf("the state is %v", state)
	}
}
