package repeat_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/internal/repeat"
	"github.com/quorate/quorate/values"
)

// script is a command whose runs do what a test says.
type script struct{ Name string }

// now is what the scripts of the test that runs do.
var now func(tx *quorate.Tx) (string, error)

func (script) Apply(tx *quorate.Tx) (string, error) { return now(tx) }

type look struct{}

func (look) Read(v *quorate.View) (string, error) { return asked(v) }

var asked func(v *quorate.View) (string, error)

var service = quorate.Define("scripts", quorate.Write[script]("SCRIPT"), quorate.Read[look]("LOOK"))

func operation(t *testing.T, name string) *quorate.Operation {
	t.Helper()
	op, ok := quorate.Engine().Lookup(service, quorate.Call{Name: name})
	if !ok {
		t.Fatalf("no operation %s", name)
	}
	return op
}

// held is the state that each test begins with.
func held() memory.State {
	return memory.State{"a": {Value: "1"}, "b": {Value: "2", End: time.Unix(2000, 0)}}
}

var moment = engine.Moment{Index: 3, Time: time.Unix(1000, 0), Due: time.Unix(2000, 0)}

// runs makes a script whose first run does one thing and all others another.
func runs(first, later func(tx *quorate.Tx) (string, error)) func(*quorate.Tx) (string, error) {
	count := 0
	return func(tx *quorate.Tx) (string, error) {
		if count++; count == 1 {
			return first(tx)
		}
		return later(tx)
	}
}

func sets(key, value string) func(*quorate.Tx) (string, error) {
	return func(tx *quorate.Tx) (string, error) {
		tx.Set([]byte(key), []byte(value))
		return "done", nil
	}
}

func returns(value string, err error) func(*quorate.Tx) (string, error) {
	return func(*quorate.Tx) (string, error) { return value, err }
}

func TestDifferencesAreNamed(t *testing.T) {
	both := func(scripts ...func(*quorate.Tx) (string, error)) func(*quorate.Tx) (string, error) {
		return func(tx *quorate.Tx) (value string, err error) {
			for _, s := range scripts {
				if value, err = s(tx); err != nil {
					break
				}
			}
			return value, err
		}
	}
	deletes := func(key string) func(*quorate.Tx) (string, error) {
		return func(tx *quorate.Tx) (string, error) { tx.Delete([]byte(key)); return "done", nil }
	}
	replaces := func(tx *quorate.Tx) (string, error) { tx.Replace([]byte("b"), []byte("3")); return "done", nil }
	endsAt := func(seconds int64) func(*quorate.Tx) (string, error) {
		return func(tx *quorate.Tx) (string, error) {
			tx.SetEnd([]byte("b"), time.Unix(seconds, 0))
			return "done", nil
		}
	}
	refuses := func(code quorate.Code, text string, value int64) func(*quorate.Tx) (string, error) {
		return func(*quorate.Tx) (string, error) {
			e := quorate.Errorf(code, "%s", text)
			e.Value = values.Int(value)
			return "", e
		}
	}
	panics := func(*quorate.Tx) (string, error) { panic("boom") }
	long := strings.Repeat("x", 100)
	for _, c := range []struct {
		name         string
		first, later func(*quorate.Tx) (string, error)
		want         string // empty: no difference
	}{
		{"the same write", sets("n", "1"), sets("n", "1"), ""},
		{"another value", sets("n", "1"), sets("n", "2"), `wrote key "n" with "1" in the first run and "2" in run 2`},
		{"a long value that ends otherwise", sets("n", long+"1"), sets("n", long+"2"), `(101 bytes) in the first run`},
		{"another key", sets("n", "1"), sets("m", "1"), `wrote key "n" with "1" in the first run and wrote key "m" with "1" in run 2, each as write 1`},
		{"another order", both(sets("n", "1"), sets("m", "1")), both(sets("m", "1"), sets("n", "1")), `each as write 1: their order counts too`},
		{"a write less", both(sets("n", "1"), sets("m", "2")), sets("n", "1"), `wrote key "m" with "2" in the first run, and did not in run 2`},
		{"a write more", sets("n", "1"), both(sets("n", "1"), sets("m", "2")), `wrote key "m" with "2" in run 2, and did not in the first run`},
		{"another key deleted", deletes("a"), deletes("b"), `deleted key "a" in the first run and deleted key "b" in run 2`},
		{"deleted and not written", deletes("a"), sets("a", ""), `deleted key "a" in the first run and wrote key "a" with "" in run 2`},
		{"set and not replaced", sets("b", "3"), replaces, `wrote key "b" with "3" in the first run and`},
		{"another end", endsAt(3000), endsAt(3001), `made key "b" end at 1970-01-01T00:50:00Z in the first run and at 1970-01-01T00:50:01Z in run 2`},
		{"an end for good", endsAt(3000), func(tx *quorate.Tx) (string, error) { tx.SetEnd([]byte("b"), time.Time{}); return "done", nil }, `and at never in run 2`},
		{"another result", returns("x", nil), returns("y", nil), `returned "x" in the first run and "y" in run 2`},
		{"an error and none", refuses("no", "no", 0), returns("", nil), `failed with no, "no" and 0 in the first run and returned "" in run 2`},
		{"another code", refuses("no", "no", 0), refuses("never", "no", 0), `failed with never, "no"`},
		{"another text", refuses("no", "no", 0), refuses("no", "never", 0), `failed with no, "never"`},
		{"another value of an error", refuses("no", "no", 0), refuses("no", "no", 1), `failed with no, "no" and 1 in run 2`},
		{"a panic and none", panics, returns("", nil), `failed with panicked, "operation SCRIPT panicked" in the first run and returned "" in run 2`},
		{"two panics", panics, panics, ""},
		// What a command wrote that failed is gone.
		{"writes before the same error", both(sets("n", "1"), refuses("no", "no", 0)), both(sets("m", "1"), refuses("no", "no", 0)), ""},
	} {
		now = runs(c.first, c.later)
		_, err := repeat.Command(operation(t, "SCRIPT"), held(), moment, [][]byte{[]byte("x"), nil}, 2)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err != nil && !strings.HasPrefix(err.Error(), `command SCRIPT "x" - is not deterministic: on the same state it `) {
			t.Errorf("%s: the command is not named: %v", c.name, err)
		}
	}
}

func TestEachRunFindsTheStateOfTheFirst(t *testing.T) {
	var seen []string
	now = func(tx *quorate.Tx) (string, error) {
		a, _ := tx.Get([]byte("a"))
		_, found := tx.Get([]byte("new"))
		end, _ := tx.End([]byte("b"))
		seen = append(seen, fmt.Sprint(string(a), found, end.Unix(), tx.Rand().Int64()))
		tx.Set([]byte("a"), []byte("9"))
		tx.Set([]byte("new"), nil)
		tx.SetEnd([]byte("b"), time.Unix(5000, 0))
		return "", nil
	}
	state := held()
	if _, err := repeat.Command(operation(t, "SCRIPT"), state, moment, [][]byte{[]byte("x")}, 3); err != nil {
		t.Fatal(err)
	}
	if len(seen) != 3 || seen[0] != seen[1] || seen[1] != seen[2] {
		t.Errorf("the runs saw %q", seen)
	}
	if state["a"].Value != "9" || state["b"].End.Unix() != 5000 {
		t.Errorf("the state is %v, without what the last run wrote", state)
	}
	if _, found := state["new"]; !found {
		t.Errorf("the state is %v, without the new key", state)
	}
}

func TestRunsMayLookAtAsManyKeysAsOne(t *testing.T) {
	now = func(tx *quorate.Tx) (string, error) {
		n := 0
		for range tx.Scan(nil, nil) {
			n++
		}
		return fmt.Sprint(n), nil
	}
	left := 3
	at := moment
	at.Visits = &left
	result, err := repeat.Command(operation(t, "SCRIPT"), held(), at, [][]byte{[]byte("x")}, 4)
	if err != nil || result.Value.Text() != "2" || left != 1 {
		t.Errorf("%v, %v, and %d keys may yet be looked at", result.Value, err, left)
	}
}

func TestWhatANestedCommandTookBackIsNotCompared(t *testing.T) {
	inner := quorate.Call{Name: "SCRIPT", Args: [][]byte{[]byte("inner")}}
	depth, count := 0, 0
	now = func(tx *quorate.Tx) (string, error) {
		if depth++; depth%2 == 0 {
			count++
			tx.Set([]byte("n"), fmt.Append(nil, count))
			return "", quorate.Errorf("no", "no")
		}
		tx.Set([]byte("before"), nil)
		_, err := tx.Call(inner)
		return fmt.Sprint(err), nil
	}
	if _, err := repeat.Command(operation(t, "SCRIPT"), held(), moment, [][]byte{[]byte("x")}, 2); err != nil {
		t.Error(err)
	}
	if count != 2 {
		t.Errorf("the inner command ran %d times", count)
	}
}

func TestBytesOfTheStateThatAreChangedAreNamed(t *testing.T) {
	given := []byte("1")
	now = func(tx *quorate.Tx) (string, error) {
		value, _ := tx.Get([]byte("a"))
		value[0] = '7'
		return "", nil
	}
	_, err := repeat.Command(operation(t, "SCRIPT"), shares{held(), given}, moment, [][]byte{[]byte("x")}, 2)
	if err == nil || !strings.Contains(err.Error(), `command SCRIPT changed the bytes that it was given of key "a"`) {
		t.Error(err)
	}
}

// shares is a state that gives away its own memory, as that of a node does.
type shares struct {
	memory.State
	value []byte
}

func (s shares) Get([]byte) ([]byte, bool) { return s.value, true }

func TestQueriesAreComparedToo(t *testing.T) {
	count := 0
	asked = func(*quorate.View) (string, error) {
		count++
		return fmt.Sprint(count / 3), nil
	}
	_, err := repeat.Query(operation(t, "LOOK"), held(), moment, nil, 4)
	want := `query LOOK is not deterministic: on the same state it returned "0" in the first run and "1" in run 3`
	if err == nil || !strings.HasPrefix(err.Error(), want) || count != 3 {
		t.Errorf("after %d runs: %v", count, err)
	}
	asked = func(*quorate.View) (string, error) { return "x", nil }
	if result, err := repeat.Query(operation(t, "LOOK"), held(), moment, nil, 4); err != nil || result.Value.Text() != "x" {
		t.Errorf("%v, %v", result, err)
	}
}

func TestOneRunIsARunAsAlways(t *testing.T) {
	now = sets("n", "1")
	state := held()
	for times := range 2 {
		result, err := repeat.Command(operation(t, "SCRIPT"), state, moment, [][]byte{[]byte("x")}, times)
		if err != nil || result.Value.Text() != "done" || state["n"].Value != "1" {
			t.Errorf("%v, %v, %v", result, err, state)
		}
	}
}
