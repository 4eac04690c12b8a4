package kv_test

import (
	"maps"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// lasting is a value in the model, and when it ends in milliseconds since 1970;
// 0 is never.
type lasting struct {
	value quorate.Value
	end   int64
}

// world is the service as one would explain it, with time: a map from which
// keys go when their time has come. Each method does what an operation should
// and returns its answer, or the code of its error.
type world struct {
	keys map[kv.Key]lasting
	now  int64
	// written counts the writes to each key.
	written map[kv.Key]int
}

func (w *world) pass(ms int64) {
	w.now += ms
	for key, there := range w.keys {
		if there.end != 0 && there.end <= w.now {
			delete(w.keys, key)
			w.written[key]++
		}
	}
}

func (w *world) set(key kv.Key, value quorate.Value, end int64) {
	w.written[key]++
	if end != 0 && end <= w.now {
		delete(w.keys, key)
		return
	}
	w.keys[key] = lasting{value, end}
}

func (w *world) drop(key kv.Key) bool {
	_, found := w.keys[key]
	if found {
		w.written[key]++
		delete(w.keys, key)
	}
	return found
}

func (w *world) end(ttl, until *int64) int64 {
	switch {
	case ttl != nil:
		return w.now + *ttl
	case until != nil:
		return *until
	}
	return 0
}

func (w *world) put(p kv.Put) (before quorate.Value, code quorate.Code) {
	there, found := w.keys[p.Key]
	if p.NX != nil && *p.NX && found || p.XX != nil && *p.XX && !found {
		return quorate.Value{}, quorate.Conflict
	}
	end := w.end(p.TTL, p.Until)
	if p.KeepTTL != nil && *p.KeepTTL {
		end = there.end
	}
	w.set(p.Key, p.Value, end)
	return there.value, ""
}

func (w *world) expire(e kv.Expire) bool {
	there, found := w.keys[e.Key]
	end, never := w.end(e.TTL, e.Until), there.end == 0
	switch {
	case !found,
		e.NX != nil && !never, e.XX != nil && never,
		e.GT != nil && (never || end <= there.end),
		e.LT != nil && !never && end >= there.end:
		return false
	}
	w.set(e.Key, there.value, end)
	return true
}

func (w *world) move(from, to kv.Key, replace, removed bool) bool {
	there, found := w.keys[from]
	_, taken := w.keys[to]
	if !found || taken && !replace {
		return false
	}
	w.set(to, there.value, there.end)
	if removed {
		w.drop(from)
	}
	return true
}

// run does what a call should do, and returns the answer and the code of the
// error.
func (w *world) run(operation any) (quorate.Value, quorate.Code) {
	there := func(key kv.Key) (lasting, bool) { l, ok := w.keys[key]; return l, ok }
	switch op := operation.(type) {
	case kv.Put:
		_, code := w.put(op)
		if code != "" {
			return quorate.Value{}, code
		}
		return op.Value, ""
	case kv.GetPut:
		return w.put(kv.Put(op))
	case kv.GetDel:
		l, found := there(op.Key)
		if !w.drop(op.Key) || !found {
			return quorate.Value{}, quorate.NotFound
		}
		return l.value, ""
	case kv.Expire:
		return values.Bool(w.expire(op)), ""
	case kv.Persist:
		l, _ := there(op.Key)
		if l.end != 0 {
			w.set(op.Key, l.value, 0)
		}
		return values.Bool(l.end != 0), ""
	case kv.GetEx:
		l, found := there(op.Key)
		if !found {
			return quorate.Value{}, quorate.NotFound
		}
		if end := w.end(op.TTL, op.Until); end != 0 || op.Persist != nil && l.end != 0 {
			w.set(op.Key, l.value, end)
		}
		return l.value, ""
	case kv.Rename:
		if _, found := there(op.Key); !found {
			return quorate.Value{}, quorate.NotFound
		}
		if op.Key == op.To {
			return values.Bool(op.NX == nil), ""
		}
		return values.Bool(w.move(op.Key, op.To, op.NX == nil, true)), ""
	case kv.Copy:
		return values.Bool(w.move(op.Key, op.To, op.Replace != nil, false)), ""
	case kv.Append:
		l, found := there(op.Key)
		value := values.Bytes(l.value.String() + op.Value.String())
		if !found {
			value = op.Value
		}
		w.set(op.Key, value, l.end)
		return values.Int(int64(len(value.String()))), ""
	case kv.Inc:
		l, found := there(op.Key)
		n, _ := strconv.ParseInt(l.value.String(), 10, 64)
		if found && strconv.FormatInt(n, 10) != l.value.String() {
			return quorate.Value{}, quorate.WrongType
		}
		w.set(op.Key, values.Int(n+op.By), l.end)
		return values.Int(n + op.By), ""
	}
	panic("no such operation")
}

// randomTimed is a random operation. Ends are around the time of the world.
func randomTimed(r *rand.Rand, now int64) any {
	key := func() kv.Key { return kv.Key([]string{"a", "b", "c", "ab"}[r.IntN(4)]) }
	maybe := func() *bool {
		if r.IntN(3) == 0 {
			return new(true)
		}
		return nil
	}
	value := values.Int(int64(r.IntN(9)))
	if r.IntN(3) == 0 {
		value = values.Bytes("x")
	}
	var ttl, until *int64
	switch r.IntN(4) {
	case 0:
		ttl = new(1 + int64(r.IntN(50)))
	case 1:
		until = new(now + int64(r.IntN(50)) - 5)
	}
	var keep *bool
	if ttl == nil && until == nil {
		keep = maybe()
	}
	switch r.IntN(12) {
	case 0:
		return kv.Put{Key: key(), Value: value, TTL: ttl, Until: until, KeepTTL: keep, NX: maybe()}
	case 1:
		return kv.Put{Key: key(), Value: value, TTL: ttl, Until: until, KeepTTL: keep, XX: maybe()}
	case 2:
		return kv.GetPut{Key: key(), Value: value, TTL: ttl, Until: until, KeepTTL: keep}
	case 3:
		return kv.GetDel{Key: key()}
	case 4, 5:
		e := kv.Expire{Key: key(), TTL: ttl, Until: until}
		if ttl == nil && until == nil {
			e.TTL = new(int64(r.IntN(40)) - 2)
		}
		*[]**bool{&e.NX, &e.XX, &e.GT, &e.LT}[r.IntN(4)] = maybe()
		return e
	case 6:
		return kv.Persist{Key: key()}
	case 7:
		return kv.GetEx{Key: key(), TTL: ttl, Until: until, Persist: keep}
	case 8:
		return kv.Rename{Key: key(), To: key(), NX: maybe()}
	case 9:
		from, to := key(), key()
		if from == to {
			to += "'"
		}
		return kv.Copy{Key: from, To: to, Replace: maybe()}
	case 10:
		return kv.Append{Key: key(), Value: value}
	}
	return kv.Inc{Key: key(), By: 1, Text: new(true)}
}

// After each operation the state is that of the model: the same keys, with the
// same ends, and with versions that change when somebody writes.
func TestRandomOperationsDoWhatAMapWithTimeWouldDo(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("replay with -run %s -seed %d", t.Name(), *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	on := memory.New(kv.Service)
	w := &world{keys: make(map[kv.Key]lasting), written: make(map[kv.Key]int), now: on.Now.UnixMilli()}
	versions := make(map[kv.Key]uint64)
	for i := range 5_000 {
		if r.IntN(4) == 0 {
			w.pass(int64(r.IntN(20)))
			on.Now = time.UnixMilli(w.now)
		}
		before := maps.Clone(w.written)
		operation := randomTimed(r, w.now)
		call, err := quorate.NewCall(operation)
		if err != nil {
			t.Fatal(err)
		}
		reply := on.Execute(t.Context(), []quorate.Call{call})[0]
		value, code := w.run(operation)
		if reply.Err == nil && !reply.Value.Equal(value) || quorate.CodeOf(reply.Err) != code {
			t.Fatalf("operation %d, %#v: got %s, want %v %s", i, operation, show(reply), value, code)
		}
		compareWorld(t, on, w)
		for _, key := range []kv.Key{"a", "b", "c", "ab"} {
			version, err := quorate.Ask(t.Context(), on, kv.Version{Key: key})
			if err != nil {
				t.Fatal(err)
			}
			_, found := w.keys[key]
			if found != (version != 0) {
				t.Fatalf("operation %d, %#v: version of %s is %d", i, operation, key, version)
			}
			if written := w.written[key] != before[key]; found && written != (version != versions[key]) {
				t.Fatalf("operation %d, %#v: written %v, version of %s from %d to %d", i, operation, written, key, versions[key], version)
			}
			versions[key] = version
		}
	}
}

// compareWorld holds all that SCAN and TTL show against the model.
func compareWorld(t *testing.T, on quorate.Executor, w *world) {
	t.Helper()
	page, err := quorate.Ask(t.Context(), on, kv.Scan{Values: true})
	if err != nil || page.More || len(page.Keys) != len(w.keys) {
		t.Fatalf("there are %q, want %v (%v)", page.Keys, w.keys, err)
	}
	for i, key := range page.Keys {
		life, err := quorate.Ask(t.Context(), on, kv.TTL{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		there := w.keys[key]
		if !page.Values[i].Equal(there.value) || (life.Until == nil) != (there.end == 0) || life.Until != nil && *life.Until != there.end {
			t.Fatalf("key %s is %v until %v, want %v", key, page.Values[i], life.Until, there)
		}
		if life.TTL != nil && *life.TTL != there.end-w.now {
			t.Fatalf("key %s has %d ms left, want %d", key, *life.TTL, there.end-w.now)
		}
	}
}
