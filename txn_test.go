package quorate_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/values"
)

// Note sets a key, or fails after it has.
type Note struct {
	Key, Value string
	Fails      *string
}

func (n Note) Apply(tx *quorate.Tx) (string, error) {
	tx.Set([]byte(n.Key), []byte(n.Value))
	if n.Fails != nil {
		if *n.Fails == "panic" {
			panic("as it was told")
		}
		return "", &quorate.Error{Code: quorate.Code(*n.Fails), Message: "as it was told", Value: values.Int(7)}
	}
	return n.Value, nil
}

// Find reads a key.
type Find struct{ Key string }

func (f Find) Read(view *quorate.View) (quorate.Value, error) {
	value, found := view.Get([]byte(f.Key))
	if !found {
		return quorate.Value{}, quorate.Errorf(quorate.NotFound, "there is no %s", f.Key)
	}
	return values.Bytes(value), nil
}

// Twice runs a command inside of itself, and again, as deep as it is told.
type Twice struct {
	Deep int64
	Key  string
}

func (w Twice) Apply(tx *quorate.Tx) (int64, error) {
	if w.Deep == 0 {
		tx.Set([]byte(w.Key), []byte("deep"))
		return 0, nil
	}
	inner, err := quorate.NewCall(Twice{w.Deep - 1, w.Key})
	if err != nil {
		return 0, err
	}
	if _, err := tx.Call(inner); err != nil {
		return 0, err
	}
	return w.Deep, nil
}

// Kinds answers with a list of a value of each kind.
type Kinds struct{}

func (Kinds) Read(*quorate.View) (quorate.Value, error) {
	return values.List(values.Int(-1), values.Uint(1<<63), values.Float(0.5), values.Bool(true),
		values.Bytes("\xff"), quorate.Value{}, values.List()), nil
}

var notes = quorate.Define("notes", quorate.Write[Note]("NOTE"), quorate.Read[Find]("FIND"), quorate.Write[Twice]("TWICE"), quorate.Read[Kinds]("KINDS"))

func note(key, value string) quorate.Call {
	return quorate.Call{Name: "NOTE", Args: [][]byte{[]byte(key), []byte(value)}}
}

func failing(key, code string) quorate.Call {
	return quorate.Call{Name: "NOTE", Args: [][]byte{[]byte(key), []byte("fails"), []byte(code)}}
}

func find(key string) quorate.Call { return quorate.Call{Name: "FIND", Args: [][]byte{[]byte(key)}} }

// content is the state in one line.
func content(on *memory.Executor) string {
	var all []string
	for key, value := range on.Data.Scan(nil, nil) {
		all = append(all, fmt.Sprintf("%s=%s", key, value))
	}
	return strings.Join(all, " ")
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	on := memory.New(notes)
	result, err := quorate.Do(t.Context(), on, quorate.Txn{Then: []quorate.Call{note("a", "1"), find("a"), note("b", "2")}})
	if err != nil || !result.Held || len(result.Results) != 3 || result.Results[1].Value.Text() != "1" || content(on) != "a=1 b=2" {
		t.Errorf("%+v, %v; the state is %s", result, err, content(on))
	}
	for code, want := range map[string]string{
		"conflict": "conflict: then[1] NOTE: as it was told", "panic": "panicked: then[1] NOTE: operation NOTE panicked", "": "failed: then[1] NOTE: ",
	} {
		_, err := quorate.Do(t.Context(), on, quorate.Txn{Then: []quorate.Call{note("a", "9"), failing("c", code), note("b", "9")}})
		if got := fmt.Sprintf("%s: %v", quorate.CodeOf(err), err); !strings.HasPrefix(got, want) || quorate.OutcomeUnknown(err) || content(on) != "a=1 b=2" {
			t.Errorf("%q: %s; the state is %s", code, got, content(on))
		}
	}
}

func TestTransactionWithEachGoesOn(t *testing.T) {
	on := memory.New(notes)
	result, err := quorate.Do(t.Context(), on, quorate.Txn{Each: true, Then: []quorate.Call{note("a", "1"), failing("a", "conflict"), find("nowhere"), failing("b", "panic"), note("c", "3")}})
	if err != nil || content(on) != "a=1 c=3" || len(result.Results) != 5 {
		t.Fatalf("%+v, %v; the state is %s", result, err, content(on))
	}
	for i, want := range []string{"1", "conflict: as it was told [7]", "not_found: there is no nowhere []", "panicked: operation NOTE panicked []", "3"} {
		got := result.Results[i].Value.String()
		if e := result.Results[i].Err; e != nil {
			got = fmt.Sprintf("%s: %s [%s]", e.Code, e.Message, e.Value)
		}
		if got != want {
			t.Errorf("call %d came to %q, want %q", i, got, want)
		}
	}
}

func TestConditionsChooseWhatIsDone(t *testing.T) {
	is := func(key, value string) quorate.Condition {
		return quorate.Condition{Call: find(key), Equals: values.Bytes(value)}
	}
	missing := quorate.Condition{Call: find("x"), Fails: quorate.NotFound}
	kinds, _ := Kinds{}.Read(nil)
	for _, c := range []struct {
		name       string
		conditions []quorate.Condition
		held       bool
	}{
		{"none", nil, true},
		{"one that holds", []quorate.Condition{is("a", "1")}, true},
		{"one that does not", []quorate.Condition{is("a", "2")}, false},
		{"an integer is no string", []quorate.Condition{{Call: find("a"), Equals: values.Int(1)}}, false},
		{"of two one does not", []quorate.Condition{is("a", "1"), is("b", "1")}, false},
		{"what is missing equals nothing", []quorate.Condition{is("x", "")}, false},
		{"missing", []quorate.Condition{missing}, true},
		{"not missing", []quorate.Condition{{Call: find("a"), Fails: quorate.NotFound}}, false},
		{"values of each kind", []quorate.Condition{{Call: quorate.Call{Name: "KINDS"}, Equals: kinds}}, true},
	} {
		on := memory.New(notes)
		quorate.Do(t.Context(), on, Note{Key: "a", Value: "1"})
		result, err := quorate.Do(t.Context(), on, quorate.Txn{If: c.conditions, Then: []quorate.Call{note("r", "then")}, Else: []quorate.Call{note("r", "else"), find("a")}})
		want, count := "a=1 r=then", 1
		if !c.held {
			want, count = "a=1 r=else", 2
		}
		if err != nil || result.Held != c.held || len(result.Results) != count || content(on) != want {
			t.Errorf("%s: %+v, %v; the state is %s", c.name, result, err, content(on))
		}
	}
}

func TestTransactionInJSON(t *testing.T) {
	op := mustOperation(t, notes, "TXN")
	on := memory.New(notes)
	run := func(body string) string {
		args, err := quorate.Engine().ArgsFromJSON(op, []byte(body))
		if err != nil {
			return fmt.Sprintf("%s: %v", quorate.CodeOf(err), err)
		}
		reply := on.Execute(t.Context(), []quorate.Call{{Name: "TXN", Args: args}})[0]
		if reply.Err != nil {
			return fmt.Sprintf("%s: %v", quorate.CodeOf(reply.Err), reply.Err)
		}
		return reply.Value.String()
	}
	for _, c := range []struct{ body, want string }{
		{`{}`, `{"held":true,"results":[]}`},
		{`{"then":[{"note":{"key":"a","value":"1"}}]}`, `{"held":true,"results":[{"value":"1"}]}`},
		{`{"if":[{"find":{"key":"a"},"equals":"1"}],"then":[{"FIND":{"key":"a"}}],"else":[]}`, `{"held":true,"results":[{"value":"1"}]}`},
		{`{"if":[{"find":{"key":"a"},"equals":{"base64":"MQ=="}}]}`, `{"held":true,"results":[]}`},
		{`{"if":[{"kinds":{},"equals":[-1,9223372036854775808,0.5,true,{"base64":"/w=="},null,[]]}]}`, `{"held":true,"results":[]}`},
		{`{"if":[{"find":{"key":"b"},"fails":"not_found"}],"each":true,"then":[{"note":{"key":"a","value":"2","fails":"conflict"}}]}`,
			`{"held":true,"results":[{"error":"as it was told","code":"conflict","value":7}]}`},
		{`{"then":[{"note":{"key":"a","value":"2","fails":"conflict"}}]}`, `conflict: then[0] NOTE: as it was told`},
		{`{"then":[{"find":{"key":"b"}}]}`, `not_found: then[0] FIND: there is no b`},
		{`{"if":[{"find":{"key":"a"}}]}`, `invalid: if[0]: a condition has either "equals" or "fails"`},
		{`{"if":[{"find":{"key":"a"},"equals":1,"fails":"x"}]}`, `invalid: if[0]: a condition has either "equals" or "fails"`},
		{`{"if":[{"find":{"key":"a"},"equals":{}}]}`, `invalid: if[0]: field "equals" is an object, not a value`},
		{`{"if":[{"find":{"key":"a"},"equals":1e400}]}`, `invalid: if[0]: field "equals" is the number 1e400, which does not fit a number of 64 bits`},
		{`{"if":[{"find":{"key":"a"},"fails":7}]}`, `invalid: if[0]: field "fails" is the number 7, not a code such as "not_found"`},
		{`{"if":[{"note":{"key":"a","value":"2"},"equals":1}]}`, `invalid: if[0] NOTE: a condition is a query, and NOTE is a command`},
		{`{"then":[{"txn":{}}]}`, `invalid: then[0] TXN: a transaction holds no other`},
		{`{"then":[{"nope":{}}]}`, `unknown_operation: then[0]: service notes has no operation "nope"`},
		{`{"then":[{"find":{}}]}`, `invalid: then[0]: field "key" is missing: FIND takes key (string)`},
		{`{"then":[{"find":{"key":"a"},"note":{}}]}`, `invalid: then[0]: 2 fields name an operation, not 1`},
		{`{"then":{}}`, `invalid: field "then" is an object, not a list`},
		{`{"each":1}`, `invalid: field "each" is the number 1, not true or false`},
		{`{"so":1}`, `invalid: field "so" is not known: TXN takes ` + quorate.Engine().Usage(op)},
	} {
		if got := run(c.body); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.body, got, c.want)
		}
	}
	if text, err := quorate.Engine().ArgsFromText(op, [][]byte{[]byte(`{"then":[{"find":{"key":"a"}}]}`)}); err != nil || len(text) != 6 {
		t.Errorf("from text: %q, %v", text, err)
	}
}

// Whatever the arguments are, a transaction is refused or it runs; nothing
// panics, and a program that does not know an operation in it says so.
func FuzzTxnArgs(f *testing.F) {
	for _, seed := range []string{
		"all 0 1 NOTE 2 a 1", "each 1 1 FIND 1 a =1 NOTE 2 a 1 NOTE 2 a 2", "all 1 0 FIND 1 a !not_found", "all 2 1", "all 0 9", "x", "",
		"all 0 0 NEW 0", "all 0 1 NOTE 9 a 1", "all 1 1 FIND 1 a =[[1],{}]", "all 18446744073709551615 1", "all -1 1",
	} {
		f.Add(seed)
	}
	op := mustOperation(f, notes, "TXN")
	f.Fuzz(func(t *testing.T, text string) {
		var args [][]byte
		for _, word := range strings.Fields(text) {
			args = append(args, []byte(word))
		}
		call := quorate.Call{Name: "TXN", Args: args}
		_, err := quorate.Engine().Check(notes, call)
		reply := memory.New(notes).Execute(t.Context(), []quorate.Call{call})[0]
		if err != nil && reply.Err == nil || quorate.CodeOf(reply.Err) == quorate.Panicked && !strings.Contains(text, "panic") {
			t.Fatalf("%q: checked %v, answered %v", text, err, reply.Err)
		}
		if err == nil && quorate.Engine().Newer(op, args) {
			t.Fatalf("%q was checked, and is of a newer program", text)
		}
	})
}

func TestOperationsUnknownInsideATransactionAreNewer(t *testing.T) {
	op := mustOperation(t, notes, "TXN")
	for text, want := range map[string]bool{
		"all 0 1 NOTE 2 a 1": false, "all 0 1 NEW 0": true, "all 1 0 NEW 0 =1": true, "all 0 0 NEW 0": true,
		"all 0 1 NOTE 4 a 1 x more": true, "some 0 0": true,
	} {
		var args [][]byte
		for _, word := range strings.Fields(text) {
			args = append(args, []byte(word))
		}
		if got := quorate.Engine().Newer(op, args); got != want {
			t.Errorf("%q: newer %v", text, got)
		}
	}
}

func TestCommandsRunInsideCommands(t *testing.T) {
	for deep, ok := range []bool{true, true, true, true, true, false, false} {
		on := memory.New(notes)
		n, err := quorate.Do(t.Context(), on, Twice{int64(deep), "k"})
		if (err == nil) != ok || ok && (n != int64(deep) || content(on) != "k=deep") || !ok && content(on) != "" {
			t.Errorf("%d deep: %d, %v; the state is %q", deep, n, err, content(on))
		}
	}
}

func TestServiceCannotDefineATransactionOfItsOwn(t *testing.T) {
	defer func() {
		if p := recover(); p == nil || !strings.Contains(fmt.Sprint(p), "operation TXN stands twice") {
			t.Errorf("it panicked with %v", p)
		}
	}()
	quorate.Define("own", quorate.Write[Note]("TXN"))
}

func TestSessionIDs(t *testing.T) {
	for id, want := range map[quorate.CallID]string{
		"s#1": "s 1 true", "a#b#18446744073709551615": "a#b 18446744073709551615 true", "s#0": " 0 false", "s#01": " 0 false", "s#+1": " 0 false",
		"#1": " 0 false", "s": " 0 false", "s#": " 0 false", "s#18446744073709551616": " 0 false", "": " 0 false",
	} {
		session, number, ok := engine.Session(string(id))
		if got := fmt.Sprint(session, " ", number, " ", ok); got != want {
			t.Errorf("%q: %s, want %s", id, got, want)
		}
		if ok && quorate.CallID(engine.SessionID(session, number)) != id {
			t.Errorf("%q became %q", id, quorate.CallID(engine.SessionID(session, number)))
		}
	}
	for _, c := range []struct {
		id      quorate.CallID
		settled uint64
		ok      bool
	}{{"s#5", 0, true}, {"s#5", 1, true}, {"s#5", 5, true}, {"s#5", 6, false}, {"s", 1, false}, {"", 1, false}, {"s", 0, true}} {
		call := note("a", "1")
		call.ID, call.Settled = c.id, c.settled
		if _, err := quorate.Engine().Check(notes, call); (err == nil) != c.ok {
			t.Errorf("%q that settles %d: %v", c.id, c.settled, err)
		}
	}
}

// Survive runs a command that fails, and goes on.
type Survive struct{ Key string }

func (s Survive) Apply(tx *quorate.Tx) (string, error) {
	if _, err := tx.Call(note("", "refused")); err == nil {
		return "", quorate.Errorf(quorate.Conflict, "an empty key was taken")
	}
	tx.Set([]byte(s.Key), []byte("went on"))
	return "", nil
}

func TestWhatWasRefusedInsideIsNotTheCommands(t *testing.T) {
	on := memory.New(quorate.Define("s", quorate.Write[Note]("NOTE"), quorate.Write[Survive]("SURVIVE")))
	if _, err := quorate.Do(t.Context(), on, Survive{"k"}); err != nil || content(on) != "k=went on" {
		t.Errorf("%v; the state is %s", err, content(on))
	}
	on = memory.New(notes)
	result, err := quorate.Do(t.Context(), on, quorate.Txn{Each: true, Then: []quorate.Call{note("a", "1"), note("", "x"), note("c", "3")}})
	if err != nil || content(on) != "a=1 c=3" || result.Results[1].Err == nil {
		t.Errorf("%+v, %v; the state is %s", result, err, content(on))
	}
}

// Other has the name of an operation of another type.
type Other struct{ Key string }

func (Other) Apply(*quorate.Tx) (string, error) { return "", nil }

func TestOperationCannotHaveTheNameOfAnotherType(t *testing.T) {
	defer func() {
		if p := recover(); !strings.Contains(fmt.Sprint(p), "operation OTHER has the name of the type of operation TAKE") {
			t.Errorf("it panicked with %v", p)
		}
	}()
	quorate.Define("s", quorate.Write[Other]("TAKE"), quorate.Write[Note]("OTHER"))
}
