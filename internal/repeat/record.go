package repeat

import (
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/values"
)

// Result is what a run came to.
type Result struct {
	Value quorate.Value
	Err   error
	// writes is what it wrote, in order; nothing if it failed, for then nothing
	// of that stays.
	writes []write
}

// recorder is a state that takes down what is written to it.
type recorder struct {
	engine.State
	writes []write
	reads  []read
}

// verb is one of the ways to write.
type verb uint8

const (
	sets verb = iota
	replaces
	ends
	deletes
)

// write is one change of the state.
type write struct {
	verb verb
	key  []byte
	// value is what was stored, or the beginning of it, of which sum is a hash.
	value []byte
	size  int
	sum   uint64
	end   time.Time
}

// read is what a command was given to look at, and a hash of it.
type read struct {
	key   []byte
	value []byte
	sum   uint64
}

// Get is the value under key.
func (r *recorder) Get(key []byte) ([]byte, bool) {
	value, found := r.State.Get(key)
	if found && len(value) > 0 {
		r.reads = append(r.reads, read{bytes.Clone(key), value, sumOf(value)})
	}
	return value, found
}

// Set takes down a value that stays for good, and stores it.
func (r *recorder) Set(key, value []byte) {
	r.note(sets, key, value, time.Time{})
	r.State.Set(key, value)
}

// Replace takes down a value that keeps its end, and stores it.
func (r *recorder) Replace(key, value []byte) {
	r.note(replaces, key, value, time.Time{})
	r.State.Replace(key, value)
}

// SetEnd takes down an end, and sets it.
func (r *recorder) SetEnd(key []byte, end time.Time) {
	r.note(ends, key, nil, end)
	r.State.SetEnd(key, end)
}

// Delete takes down that a key goes, and removes it.
func (r *recorder) Delete(key []byte) {
	r.note(deletes, key, nil, time.Time{})
	r.State.Delete(key)
}

// Save returns what takes back the writes since, also from what was taken down.
func (r *recorder) Save() (restore func()) {
	inner, count := r.State.Save(), len(r.writes)
	return func() {
		r.writes = r.writes[:count]
		inner()
	}
}

// shownBytes is how much of a value is kept to be shown. The rest is known by
// its hash: a run may write quorate.TxBytesMax.
const shownBytes = 64

func (r *recorder) note(v verb, key, value []byte, end time.Time) {
	r.writes = append(r.writes, write{
		verb: v, key: bytes.Clone(key), value: bytes.Clone(value[:min(len(value), shownBytes)]),
		size: len(value), sum: sumOf(value), end: end,
	})
}

// result is what a run came to that wrote here.
func (r *recorder) result(value quorate.Value, err error) Result {
	if err != nil {
		return Result{Err: err}
	}
	return Result{Value: value, writes: r.writes}
}

// misuse is what the command did with what it was given, or nil.
func (r *recorder) misuse(op *quorate.Operation) error {
	for _, was := range r.reads {
		if sumOf(was.value) != was.sum {
			return fmt.Errorf("command %s changed the bytes that it was given of key %q: they belong to the state, and others read them", op.Name(), clipped(string(was.key)))
		}
	}
	return nil
}

func sumOf(value []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(value)
	return h.Sum64()
}

// difference says where two runs differ, as the end of a sentence about the
// command. It is empty if they do not.
func difference(a, b Result, one, other string) string {
	if what := outcomes(a, b, one, other); what != "" {
		return what
	}
	for i := range min(len(a.writes), len(b.writes)) {
		if what := a.writes[i].differs(b.writes[i], i+1, one, other); what != "" {
			return what
		}
	}
	switch more := len(a.writes) - len(b.writes); {
	case more > 0:
		return fmt.Sprintf("%s %s, and did not %s", a.writes[len(b.writes)], one, other)
	case more < 0:
		return fmt.Sprintf("%s %s, and did not %s", b.writes[len(a.writes)], other, one)
	}
	if !a.Value.Equal(b.Value) {
		return fmt.Sprintf("returned %s %s and %s %s", shown(a.Value), one, shown(b.Value), other)
	}
	return ""
}

// outcomes says how two runs differ of which one failed, or both.
func outcomes(a, b Result, one, other string) string {
	if a.Err == nil && b.Err == nil {
		return ""
	}
	if a.Err != nil && b.Err != nil && quorate.CodeOf(a.Err) == quorate.CodeOf(b.Err) && a.Err.Error() == b.Err.Error() && heldBy(a.Err).Equal(heldBy(b.Err)) {
		return ""
	}
	return fmt.Sprintf("%s %s and %s %s", a.ended(), one, b.ended(), other)
}

// heldBy is the value that an error carries.
func heldBy(err error) quorate.Value {
	if e, ok := errors.AsType[*quorate.Error](err); ok {
		return e.Value
	}
	return quorate.Value{}
}

// ended says how a run ended.
func (r Result) ended() string {
	if r.Err == nil {
		return "returned " + shown(r.Value)
	}
	text := fmt.Sprintf("failed with %s, %q", quorate.CodeOf(r.Err), clipped(r.Err.Error()))
	if held := heldBy(r.Err); held.Kind() != values.KindNone {
		text += " and " + shown(held)
	}
	return text
}

// differs says how two writes differ that stand at the same place, or nothing.
func (w write) differs(v write, place int, one, other string) string {
	switch {
	case w.verb == v.verb && bytes.Equal(w.key, v.key) && w.size == v.size && w.sum == v.sum && w.end.Equal(v.end):
		return ""
	case w.verb == v.verb && bytes.Equal(w.key, v.key) && w.verb == ends:
		return fmt.Sprintf("made key %q end at %s %s and at %s %s", clipped(string(w.key)), moment(w.end), one, moment(v.end), other)
	case w.verb == v.verb && bytes.Equal(w.key, v.key):
		return fmt.Sprintf("wrote key %q with %s %s and %s %s", clipped(string(w.key)), w.shown(), one, v.shown(), other)
	}
	return fmt.Sprintf("%s %s and %s %s, each as write %d: their order counts too", w, one, v, other, place)
}

// String is the write as a part of a sentence.
func (w write) String() string {
	key := clipped(string(w.key))
	switch w.verb {
	case deletes:
		return fmt.Sprintf("deleted key %q", key)
	case ends:
		return fmt.Sprintf("made key %q end at %s", key, moment(w.end))
	}
	return fmt.Sprintf("wrote key %q with %s", key, w.shown())
}

// shown is the value of a write, or the beginning of it.
func (w write) shown() string {
	if w.size > len(w.value) {
		return fmt.Sprintf("%q... (%d bytes)", w.value, w.size)
	}
	return fmt.Sprintf("%q", w.value)
}

func moment(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.UTC().Format(time.RFC3339Nano)
}

// clipped is the beginning of a text, to be shown.
func clipped(text string) string {
	if len(text) > shownBytes {
		return text[:shownBytes] + "..."
	}
	return text
}

// shown is a value as it stands in a message.
func shown(v quorate.Value) string {
	if v.Kind() == values.KindNone {
		return "nothing"
	}
	if v.Kind() == values.KindBytes {
		return fmt.Sprintf("%q", clipped(v.Text()))
	}
	return clipped(v.String())
}

// argumentsShown is how many arguments of a call stand in a message.
const argumentsShown = 8

// Describe is a call as it stands in a message: its name and its arguments.
func Describe(name string, args [][]byte) string {
	var b strings.Builder
	b.WriteString(name)
	for i, arg := range args {
		if i == argumentsShown {
			fmt.Fprintf(&b, " and %d more", len(args)-i)
			break
		}
		if arg == nil {
			b.WriteString(" -")
			continue
		}
		fmt.Fprintf(&b, " %q", clipped(string(arg)))
	}
	return b.String()
}
