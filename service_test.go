package quorate_test

import (
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
)

// Add and what follows are operations that do as little as they can.
type Add struct {
	Key string
	By  int64 `default:"1"`
}

func (a Add) Check() error {
	if a.Key == "forbidden" {
		return errors.New("this key is forbidden")
	}
	if a.Key == "huge" {
		return quorate.Errorf(quorate.TooLarge, "this key is huge")
	}
	if a.Key == "broken" {
		panic("a secret")
	}
	return nil
}
func (a Add) Apply(tx *quorate.Tx) (int64, error) {
	tx.Set([]byte(a.Key), []byte("x"))
	return a.By, nil
}

type Pointed struct{ Key string }

func (p *Pointed) Check() error {
	if p.Key == "" {
		return errors.New("the key is empty")
	}
	return nil
}
func (p *Pointed) Apply(*quorate.Tx) (string, error) { return p.Key, nil }

// CheckedByPointer is applied as a struct and checked through a pointer.
type CheckedByPointer struct{ Key string }

func (c *CheckedByPointer) Check() error                     { return errors.New("never") }
func (c CheckedByPointer) Apply(*quorate.Tx) (string, error) { return c.Key, nil }

type Sum struct{ Of []int64 }

func (s Sum) Read(*quorate.View) (int64, error) {
	var sum int64
	for _, n := range s.Of {
		sum += n
	}
	return sum, nil
}

type (
	chanField   struct{ C chan int }
	structField struct{ S struct{ X int } }
	sliceFirst  struct {
		Rest []string
		Last string
	}
	badDefault struct {
		N int `default:"one"`
	}
	sameName struct {
		A int `json:"b"`
		B int
	}
	notAStruct      int
	noResult[R any] struct{}
	node            struct{ Next []node }
	sameResult      struct {
		A int `json:"b"`
		B int
	}
)

func (chanField) Apply(*quorate.Tx) (int, error)   { return 0, nil }
func (structField) Apply(*quorate.Tx) (int, error) { return 0, nil }
func (sliceFirst) Apply(*quorate.Tx) (int, error)  { return 0, nil }
func (badDefault) Apply(*quorate.Tx) (int, error)  { return 0, nil }
func (sameName) Apply(*quorate.Tx) (int, error)    { return 0, nil }
func (notAStruct) Apply(*quorate.Tx) (int, error)  { return 0, nil }

func (noResult[R]) Apply(*quorate.Tx) (r R, err error) { return r, nil }

func TestDefineRefusesWhatCouldGoWrongLater(t *testing.T) {
	for _, c := range []struct {
		name       string
		operations []quorate.Operation
		want       string
	}{
		{"", nil, "it has no name"},
		{"s", []quorate.Operation{quorate.Write[Add]("")}, "a name has 1 to 64"},
		{"s", []quorate.Operation{quorate.Write[Add]("add")}, "a name has 1 to 64"},
		{"s", []quorate.Operation{quorate.Write[Add]("A/B")}, "a name has 1 to 64"},
		{"s", []quorate.Operation{quorate.Write[Add](strings.Repeat("A", 65))}, "a name has 1 to 64"},
		{"s", []quorate.Operation{quorate.Write[Add]("X"), quorate.Read[Sum]("X")}, "operation X stands twice"},
		{"s", []quorate.Operation{quorate.Write[Add]("X"), quorate.Write[Add]("Y")}, "operations X and Y are the same type quorate_test.Add"},
		{"s", []quorate.Operation{quorate.Write[chanField]("X")}, "field C: a chan int has no form as an argument"},
		{"s", []quorate.Operation{quorate.Write[structField]("X")}, "field S: a struct { X int } has no form as an argument"},
		{"s", []quorate.Operation{quorate.Write[sliceFirst]("X")}, "only the last field can be a slice"},
		{"s", []quorate.Operation{quorate.Write[badDefault]("X")}, `field N: its default is "one", not an integer`},
		{"s", []quorate.Operation{quorate.Write[sameName]("X")}, `two fields have the name "b"`},
		{"s", []quorate.Operation{quorate.Write[notAStruct]("X")}, "quorate_test.notAStruct is not a struct"},
		{"s", []quorate.Operation{quorate.Write[noResult[func()]]("X")}, "a func() has no form as a result"},
		{"s", []quorate.Operation{quorate.Write[noResult[any]]("X")}, "a interface {} has no form as a result"},
		{"s", []quorate.Operation{quorate.Write[noResult[map[int]int]]("X")}, "the keys of a map are strings"},
		{"s", []quorate.Operation{quorate.Write[noResult[[]chan int]]("X")}, "a chan int has no form as a result"},
		{"s", []quorate.Operation{quorate.Write[noResult[node]]("X")}, "holds itself and has no form as a result"},
		{"s", []quorate.Operation{quorate.Write[noResult[time.Time]]("X")}, "none of its fields is exported"},
		{"s", []quorate.Operation{quorate.Write[noResult[sameResult]]("X")}, `have the name "b"`},
	} {
		t.Run(c.want, func(t *testing.T) {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), c.want) {
					t.Errorf("Define said %v", p)
				}
			}()
			quorate.Define(c.name, c.operations...)
		})
	}
}

var small = quorate.Define("small",
	quorate.Write[Add]("PLUS"), quorate.Write[*Pointed]("POINTED"), quorate.Write[CheckedByPointer]("CHECKED"), quorate.Read[Sum]("SUM"))

func TestServiceTellsWhatItHas(t *testing.T) {
	if small.Name() != "small" || len(small.Operations()) != 5 {
		t.Errorf("%s has %d operations", small.Name(), len(small.Operations()))
	}
	plus := mustOperation(t, small, "PLUS")
	if plus.Name() != "PLUS" || !plus.Writes() || quorate.Engine().Usage(plus) != "key (string), by (integer, optional)" {
		t.Errorf("%s %v %q", plus.Name(), plus.Writes(), quorate.Engine().Usage(plus))
	}
	sum := mustOperation(t, small, "SUM")
	if sum.Writes() || quorate.Engine().Usage(sum) != "of (integer, list)" {
		t.Errorf("SUM %v %q", sum.Writes(), quorate.Engine().Usage(sum))
	}
}

func TestCheckSaysWhatIsWrongWithACall(t *testing.T) {
	args := func(texts ...string) (list [][]byte) {
		for _, text := range texts {
			list = append(list, []byte(text))
		}
		return list
	}
	for _, c := range []struct {
		call quorate.Call
		code quorate.Code
		want string
	}{
		{quorate.Call{Name: "PLUS", Args: args("k")}, "", ""},
		{quorate.Call{Name: "PLUS", Args: args("k", "2")}, "", ""},
		{quorate.Call{Name: "PLUS", Args: [][]byte{[]byte("k"), nil}}, "", ""},
		{quorate.Call{Name: "PLUS", Args: args("k"), ID: quorate.CallID(strings.Repeat("i", quorate.CallIDBytesMax))}, "", ""},
		{quorate.Call{Name: "PLUS", Args: args(strings.Repeat("k", quorate.ArgsBytesMax))}, "", ""},
		{quorate.Call{Name: "SUM", Args: args()}, "", ""},
		{quorate.Call{Name: "SUM", Args: args("1", "2", "3")}, "", ""},
		{quorate.Call{Name: "plus"}, quorate.UnknownOperation, `service small has no operation "plus"`},
		{quorate.Call{}, quorate.UnknownOperation, `service small has no operation ""`},
		{quorate.Call{Name: "PLUS"}, quorate.Invalid, "argument key is missing: PLUS takes key (string), by (integer, optional)"},
		{quorate.Call{Name: "PLUS", Args: [][]byte{nil, []byte("1")}}, quorate.Invalid, "argument key is missing: PLUS takes key (string), by (integer, optional)"},
		{quorate.Call{Name: "PLUS", Args: args("k", "2", "3")}, quorate.Invalid, "PLUS takes key (string), by (integer, optional)"},
		{quorate.Call{Name: "PLUS", Args: args("k", "two")}, quorate.Invalid, `argument by is "two", not an integer`},
		{quorate.Call{Name: "SUM", Args: args("1", "x")}, quorate.Invalid, `argument of is "x", not an integer`},
		{quorate.Call{Name: "PLUS", Args: args("k"), ID: quorate.CallID(strings.Repeat("i", quorate.CallIDBytesMax+1))},
			quorate.Invalid, "a call id of 97 bytes is over the limit of 96"},
		{quorate.Call{Name: "PLUS", Args: args(strings.Repeat("k", quorate.ArgsBytesMax), "1")},
			quorate.TooLarge, "arguments of 1048577 bytes are over the limit of 1048576"},
		{quorate.Call{Name: "SUM", Args: make([][]byte, quorate.ArgsMax+1)},
			quorate.TooLarge, "65537 arguments are over the limit of 65536"},
		{quorate.Call{Name: "PLUS", Args: args("forbidden")}, quorate.Invalid, "this key is forbidden"},
		{quorate.Call{Name: "PLUS", Args: args("huge")}, quorate.TooLarge, "this key is huge"},
		{quorate.Call{Name: "PLUS", Args: args("broken")}, quorate.Panicked, "operation PLUS panicked"},
		{quorate.Call{Name: "POINTED", Args: args("")}, quorate.Invalid, "the key is empty"},
		{quorate.Call{Name: "CHECKED", Args: args("k")}, quorate.Invalid, "never"},
	} {
		_, err := quorate.Engine().Check(small, c.call)
		if quorate.CodeOf(err) != c.code || err != nil && err.Error() != c.want || quorate.OutcomeUnknown(err) {
			t.Errorf("%.20s %.40q: %q %v, want %q %s", c.call.Name, c.call.Args, quorate.CodeOf(err), err, c.code, c.want)
		}
	}
}

// A call that an older program wrote has fewer arguments, and one of a newer
// program has more.
func TestCallsOfOtherVersions(t *testing.T) {
	plus := mustOperation(t, small, "PLUS")
	older, newer := [][]byte{[]byte("k")}, [][]byte{[]byte("k"), []byte("2"), []byte("3")}
	value, err := quorate.Engine().Apply(plus, quorate.Engine().NewTx(memory.State{}, engine.Moment{}), older)
	if err != nil || value.Int() != 1 || quorate.Engine().Newer(plus, older) {
		t.Errorf("a call with fewer arguments: %v %v, newer %v", value, err, quorate.Engine().Newer(plus, older))
	}
	if !quorate.Engine().Newer(plus, newer) {
		t.Error("a call with more arguments is not newer")
	}
	if quorate.Engine().Newer(mustOperation(t, small, "SUM"), newer) {
		t.Error("a list of arguments is newer")
	}
}

// A program that only writes a service must not be given a dependency.
func TestRootImportsTheStandardLibraryOnly(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	got := strings.Fields(string(out))
	if !slices.Contains(got, "github.com/quorate/quorate") {
		t.Fatalf("go list does not name the package itself: %q", got)
	}
	for _, needed := range got {
		if !strings.HasPrefix(needed, "github.com/quorate/quorate") {
			t.Errorf("beside the standard library: %s", needed)
		}
	}
}
