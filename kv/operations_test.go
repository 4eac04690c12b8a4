package kv_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// step is one call with a JSON body, after log time moved on by so much.
type step struct {
	name, body, want string
	after            time.Duration
}

// walk makes the calls of steps one after the other.
func walk(t *testing.T, steps []step) {
	t.Helper()
	on := memory.New(kv.Service) // log time begins at 1,000,000 s
	for _, s := range steps {
		on.Now = on.Now.Add(s.after)
		reply := mustCall(t, on, s.name, s.body)
		got := show(reply)
		if failure, ok := errors.AsType[*quorate.Error](reply.Err); ok && failure.Code == quorate.Conflict {
			got = "conflict with " + failure.Value.Kind().String() + " " + failure.Value.String()
		}
		if got != s.want {
			t.Fatalf("%s %s\n got %s\nwant %s", s.name, s.body, got, s.want)
		}
	}
}

func TestPutWithOptions(t *testing.T) {
	walk(t, []step{
		{name: "PUT", body: `{"key":"k","value":1,"xx":true}`, want: "conflict with none "},
		{name: "PUT", body: `{"key":"k","value":1,"nx":true}`, want: "integer 1"},
		{name: "PUT", body: `{"key":"k","value":2,"nx":true}`, want: "conflict with integer 1"},
		{name: "PUT", body: `{"key":"k","value":2,"nx":false}`, want: "integer 2"},
		{name: "PUT", body: `{"key":"k","value":"x","xx":true,"ttl":5000}`, want: "string x"},
		{name: "TTL", body: `{"key":"k"}`, want: `map {"ttl":5000,"until":1000005000}`},
		{name: "PUT", body: `{"key":"k","value":3,"keepttl":true}`, want: "integer 3"},
		{name: "TTL", body: `{"key":"k"}`, want: `map {"ttl":4000,"until":1000005000}`, after: time.Second},
		{name: "PUT", body: `{"key":"k","value":3}`, want: "integer 3"},
		{name: "TTL", body: `{"key":"k"}`, want: `map {"ttl":null,"until":null}`},
		{name: "PUT", body: `{"key":"k","value":4,"until":1000001500}`, want: "integer 4"},
		{name: "GET", body: `{"key":"k"}`, want: "integer 4", after: 499 * time.Millisecond},
		{name: "GET", body: `{"key":"k"}`, want: `not_found: there is nothing under key "k"`, after: time.Millisecond},
		{name: "PUT", body: `{"key":"k","value":5,"xx":true}`, want: "conflict with none "},
		{name: "PUT", body: `{"key":"k","value":5,"nx":true,"keepttl":true}`, want: "integer 5"},
		{name: "TTL", body: `{"key":"k"}`, want: `map {"ttl":null,"until":null}`},
		{name: "PUT", body: `{"key":"k","value":6,"until":1}`, want: "integer 6"}, // the past
		{name: "GET", body: `{"key":"k"}`, want: `not_found: there is nothing under key "k"`},
		{name: "PUT", body: `{"key":"k","value":6,"ttl":9223372036854775807}`, want: "overflow: a ttl of 9223372036854775807 milliseconds from now does not fit an integer of 64 bits"},
		{name: "GET", body: `{"key":"k"}`, want: `not_found: there is nothing under key "k"`},
	})
	walk(t, []step{ // the end of time
		{name: "PUT", body: `{"key":"k","value":6,"ttl":9223372000000000000}`, want: "integer 6"},
		{name: "TTL", body: `{"key":"k"}`, want: `map {"ttl":9222372036854,"until":9223372036854}`},
		{name: "PUT", body: `{"key":"k","value":6,"until":9223372036854775807}`, want: "integer 6"},
		{name: "TTL", body: `{"key":"k"}`, want: `map {"ttl":9222372036854,"until":9223372036854}`},
	})
}

func TestOptionsThatDoNotGoTogetherAreRefused(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"PUT", `{"key":"k","value":1,"nx":true,"xx":true}`, "nx and xx do not go together"},
		{"PUT", `{"key":"k","value":1,"ttl":1,"until":1}`, "ttl and until do not go together"},
		{"PUT", `{"key":"k","value":1,"ttl":1,"keepttl":true}`, "ttl and keepttl do not go together"},
		{"PUT", `{"key":"k","value":1,"until":1,"keepttl":true}`, "until and keepttl do not go together"},
		{"PUT", `{"key":"k","value":1,"ttl":0}`, "a ttl of 0 is below 1 millisecond"},
		{"PUT", `{"key":"k","value":1,"until":0}`, "until 0 is before 1970"},
		{"GETPUT", `{"key":"k","value":1,"ttl":-1}`, "a ttl of -1 is below 1 millisecond"},
		{"GETEX", `{"key":"k","ttl":1,"persist":true}`, "ttl and persist do not go together"},
		{"EXPIRE", `{"key":"k"}`, "either ttl or until says when the key ends"},
		{"EXPIRE", `{"key":"k","ttl":1,"until":1}`, "either ttl or until says when the key ends"},
		{"EXPIRE", `{"key":"k","ttl":1,"nx":true,"gt":true}`, "nx does not go together with xx, gt or lt"},
		{"EXPIRE", `{"key":"k","ttl":1,"gt":true,"lt":true}`, "gt and lt do not go together"},
		{"MPUT", `{"pairs":[]}`, "pairs are keys and values in turns, not a list of 0"},
		{"MPUT", `{"pairs":["a",1,"b"]}`, "pairs are keys and values in turns, not a list of 3"},
		{"MPUT", `{"pairs":["",1]}`, "the key is empty"},
		{"MGET", `{"keys":[]}`, "there is no key"},
		{"MDELETE", `{"keys":["a",""]}`, "the key is empty"},
		{"COPY", `{"key":"k","to":"k"}`, "a key is not copied to itself"},
		{"RENAME", `{"key":"k","to":""}`, "the key is empty"},
		{"SETRANGE", `{"key":"k","offset":-1,"value":""}`, "an offset of -1 is negative"},
		{"SCAN", `{"limit":-1}`, "a limit of -1 is not between 1 and 10000"},
		{"SCAN", `{"limit":10001}`, "a limit of 10001 is not between 1 and 10000"},
		{"SCAN", `{"pattern":"` + strings.Repeat("*", 5000) + `"}`, "a pattern of 5000 bytes is over the limit of 4096"},
		{"SCAN", `{"prefix":"` + strings.Repeat("k", 5000) + `"}`, "a key of 5000 bytes is over the limit of 4093"},
		{"SIZE", `{"limit":100001}`, "a limit of 100001 is not between 1 and 100000"},
		{"FLUSH", `{"after":"` + strings.Repeat("k", 5000) + `"}`, "a key of 5000 bytes is over the limit of 4093"},
		{"INCFLOAT", `{"key":"k","value":"x"}`, `field "value" is no number, or one that is too large`},
		{"INCFLOAT", `{"key":"k","value":1e5000}`, `field "value" is no number, or one that is too large`},
		{"INCFLOAT", `{"key":"k","value":true}`, `field "value" is no number, or one that is too large`},
	} {
		on := memory.New(kv.Service)
		reply := mustCall(t, on, c.name, c.body)
		code := quorate.CodeOf(reply.Err)
		if reply.Err == nil || reply.Err.Error() != c.want || code != quorate.Invalid && code != quorate.TooLarge {
			t.Errorf("%s %.60s: %s, want %s", c.name, c.body, show(reply), c.want)
		}
		if on.Index != 0 {
			t.Errorf("%s %.60s reached the state", c.name, c.body)
		}
	}
}

func TestGetPutReturnsWhatWasThere(t *testing.T) {
	walk(t, []step{
		{name: "GETPUT", body: `{"key":"k","value":1}`, want: "none "},
		{name: "GETPUT", body: `{"key":"k","value":"2","ttl":1000}`, want: "integer 1"},
		{name: "GETPUT", body: `{"key":"k","value":3,"nx":true}`, want: "conflict with string 2"},
		{name: "GETPUT", body: `{"key":"k","value":3,"keepttl":true}`, want: "string 2"},
		{name: "TTL", body: `{"key":"k"}`, want: `map {"ttl":1000,"until":1000001000}`},
		{name: "GETPUT", body: `{"key":"k","value":4,"xx":true}`, want: "conflict with none ", after: time.Second},
		{name: "GETPUT", body: `{"key":"k","value":4}`, want: "none "},
	})
}

func TestManyKeysAtOnce(t *testing.T) {
	walk(t, []step{
		{name: "MPUT", body: `{"pairs":["a",1,"b","x",7,""]}`, want: "integer 3"},
		{name: "MGET", body: `{"keys":["a","nowhere","b",7,"a"]}`, want: `list [1,null,"x","",1]`},
		{name: "MPUT", body: `{"nx":true,"pairs":["new",1,"b",2]}`, want: "conflict with string x"},
		{name: "GET", body: `{"key":"new"}`, want: `not_found: there is nothing under key "new"`},
		{name: "MPUT", body: `{"nx":true,"pairs":["new",1,"new",2]}`, want: "integer 2"},
		{name: "GET", body: `{"key":"new"}`, want: "integer 2"},
		{name: "EXISTS", body: `{"keys":["a","a","nowhere","b"]}`, want: "integer 3"},
		{name: "MDELETE", body: `{"keys":["a","a","nowhere","b"]}`, want: "integer 2"},
		{name: "EXISTS", body: `{"keys":["a","b"]}`, want: "integer 0"},
		{name: "DELETE", body: `{"key":"new"}`, want: "bool true"},
		{name: "GETDEL", body: `{"key":7}`, want: "string "},
		{name: "GETDEL", body: `{"key":7}`, want: `not_found: there is nothing under key "7"`},
	})
}

func TestTextOfValues(t *testing.T) {
	walk(t, []step{
		{name: "APPEND", body: `{"key":"k","value":12}`, want: "integer 2"},
		{name: "GET", body: `{"key":"k"}`, want: "integer 12"},
		{name: "APPEND", body: `{"key":"k","value":34}`, want: "integer 4"},
		{name: "GET", body: `{"key":"k"}`, want: "string 1234"},
		{name: "LENGTH", body: `{"key":"k"}`, want: "integer 4"},
		{name: "LENGTH", body: `{"key":"nowhere"}`, want: "integer 0"},
		{name: "SETRANGE", body: `{"key":"k","offset":6,"value":"!"}`, want: "integer 7"},
		{name: "GET", body: `{"key":"k"}`, want: "string 1234\x00\x00!"},
		{name: "SETRANGE", body: `{"key":"k","offset":1,"value":"xy"}`, want: "integer 7"},
		{name: "RANGE", body: `{"key":"k","start":0,"end":3}`, want: "string 1xy4"},
		{name: "SETRANGE", body: `{"key":"k","offset":99,"value":""}`, want: "integer 7"},
		{name: "SETRANGE", body: `{"key":"nowhere","offset":99,"value":""}`, want: "integer 0"},
		{name: "EXISTS", body: `{"keys":["nowhere"]}`, want: "integer 0"},
		{name: "SETRANGE", body: `{"key":"k","offset":1048575,"value":"xy"}`, want: "too_large: the string would be longer than the limit of 1048576 bytes"},
		{name: "SETRANGE", body: `{"key":"k","offset":9223372036854775807,"value":"xy"}`, want: "too_large: the string would be longer than the limit of 1048576 bytes"},
		{name: "SETRANGE", body: `{"key":"full","offset":1048575,"value":"x"}`, want: "integer 1048576"},
		{name: "APPEND", body: `{"key":"full","value":""}`, want: "integer 1048576"},
		{name: "APPEND", body: `{"key":"full","value":1}`, want: "too_large: the string would be longer than the limit of 1048576 bytes"},

		{name: "PUT", body: `{"key":"r","value":"0123456789"}`, want: "string 0123456789"},
		{name: "RANGE", body: `{"key":"r","start":-3,"end":-1}`, want: "string 789"},
		{name: "RANGE", body: `{"key":"r","start":-99,"end":99}`, want: "string 0123456789"},
		{name: "RANGE", body: `{"key":"r","start":5,"end":4}`, want: "string "},
		{name: "RANGE", body: `{"key":"r","start":10,"end":12}`, want: "string "},
		{name: "RANGE", body: `{"key":"r","start":0,"end":-99}`, want: "string 0"},
		{name: "RANGE", body: `{"key":"r","start":-98,"end":-99}`, want: "string "},
		{name: "RANGE", body: `{"key":"r","start":-9223372036854775808,"end":9223372036854775807}`, want: "string 0123456789"},
		{name: "RANGE", body: `{"key":"nowhere","start":0,"end":-1}`, want: "string "},
		{name: "PUT", body: `{"key":"n","value":-123}`, want: "integer -123"},
		{name: "RANGE", body: `{"key":"n","start":0,"end":1}`, want: "string -1"},
	})
}

func TestIncOfTextAndOfFractions(t *testing.T) {
	walk(t, []step{
		{name: "PUT", body: `{"key":"s","value":"7"}`, want: "string 7"},
		{name: "INC", body: `{"key":"s"}`, want: `wrong_type: key "s" holds a string, not an integer`},
		{name: "INC", body: `{"key":"s","text":false}`, want: `wrong_type: key "s" holds a string, not an integer`},
		{name: "INC", body: `{"key":"s","text":true}`, want: "integer 8"},
		{name: "INC", body: `{"key":"s"}`, want: "integer 9"},
		{name: "PUT", body: `{"key":"s","value":"07"}`, want: "string 07"},
		{name: "INC", body: `{"key":"s","text":true}`, want: `wrong_type: key "s" holds a string, not an integer`},
		{name: "INC", body: `{"key":"new","text":true,"value":5}`, want: "integer 5"},

		{name: "INCFLOAT", body: `{"key":"f","value":0.1}`, want: "string 0.1"},
		{name: "INCFLOAT", body: `{"key":"f","value":"0.2"}`, want: "string 0.3"},
		{name: "INCFLOAT", body: `{"key":"f","value":-1.3}`, want: "integer -1"},
		{name: "INC", body: `{"key":"f"}`, want: "integer 0"},
		{name: "INCFLOAT", body: `{"key":"f","value":"inf"}`, want: "overflow: the sum is not finite"},
		{name: "INCFLOAT", body: `{"key":"s","value":1}`, want: "integer 8"}, // 07 reads as a number
		{name: "PUT", body: `{"key":"s","value":"x"}`, want: "string x"},
		{name: "INCFLOAT", body: `{"key":"s","value":1}`, want: `wrong_type: key "s" holds a string that is no number`},
	})
}

func TestWhatIsChangedKeepsItsEnd(t *testing.T) {
	for _, c := range []struct{ name, body string }{
		{"INC", `{"key":"k"}`}, {"INCFLOAT", `{"key":"k","value":0.5}`}, {"APPEND", `{"key":"k","value":"x"}`},
		{"SETRANGE", `{"key":"k","offset":0,"value":"x"}`}, {"GETEX", `{"key":"k"}`},
		{"PUT", `{"key":"k","value":1,"keepttl":true}`}, {"GETPUT", `{"key":"k","value":1,"keepttl":true}`},
	} {
		on := memory.New(kv.Service)
		_ = mustCall(t, on, "PUT", `{"key":"k","value":1,"ttl":5000}`)
		if reply := mustCall(t, on, c.name, c.body); reply.Err != nil {
			t.Fatal(c.name, reply.Err)
		}
		if got := show(mustCall(t, on, "TTL", `{"key":"k"}`)); got != `map {"ttl":5000,"until":1000005000}` {
			t.Errorf("%s: %s", c.name, got)
		}
	}
	for _, c := range []struct{ name, body string }{
		{"PUT", `{"key":"k","value":1}`}, {"GETPUT", `{"key":"k","value":1}`}, {"MPUT", `{"pairs":["k",1]}`},
		{"CAS", `{"key":"k","value":2,"expect":1}`}, {"PERSIST", `{"key":"k"}`}, {"GETEX", `{"key":"k","persist":true}`},
	} {
		on := memory.New(kv.Service)
		_ = mustCall(t, on, "PUT", `{"key":"k","value":1,"ttl":5000}`)
		if reply := mustCall(t, on, c.name, c.body); reply.Err != nil {
			t.Fatal(c.name, reply.Err)
		}
		if got := show(mustCall(t, on, "TTL", `{"key":"k"}`)); got != `map {"ttl":null,"until":null}` {
			t.Errorf("%s: %s", c.name, got)
		}
	}
}

func TestEndsOfKeys(t *testing.T) {
	walk(t, []step{
		{name: "EXPIRE", body: `{"key":"k","ttl":1000}`, want: "bool false"},
		{name: "PUT", body: `{"key":"k","value":1}`, want: "integer 1"},
		{name: "EXPIRE", body: `{"key":"k","ttl":1000,"xx":true}`, want: "bool false"},
		{name: "EXPIRE", body: `{"key":"k","ttl":1000,"gt":true}`, want: "bool false"},
		{name: "EXPIRE", body: `{"key":"k","ttl":9000,"lt":true}`, want: "bool true"},
		{name: "EXPIRE", body: `{"key":"k","ttl":1000,"nx":true}`, want: "bool false"},
		{name: "EXPIRE", body: `{"key":"k","ttl":9000,"gt":true}`, want: "bool false"},
		{name: "EXPIRE", body: `{"key":"k","ttl":9000,"lt":true}`, want: "bool false"},
		{name: "EXPIRE", body: `{"key":"k","until":1000009001,"gt":true,"xx":true}`, want: "bool true"},
		{name: "EXPIRE", body: `{"key":"k","until":1000009000,"lt":true,"xx":true}`, want: "bool true"},
		{name: "TTL", body: `{"key":"k"}`, want: `map {"ttl":9000,"until":1000009000}`},
		{name: "PERSIST", body: `{"key":"k"}`, want: "bool true"},
		{name: "PERSIST", body: `{"key":"k"}`, want: "bool false"},
		{name: "PERSIST", body: `{"key":"nowhere"}`, want: "bool false"},
		{name: "EXPIRE", body: `{"key":"k","ttl":1000,"nx":true}`, want: "bool true"},
		{name: "GETEX", body: `{"key":"k","ttl":2000}`, want: "integer 1"},
		{name: "GETEX", body: `{"key":"nowhere","ttl":2000}`, want: `not_found: there is nothing under key "nowhere"`},
		{name: "GETEX", body: `{"key":"k","persist":true}`, want: "integer 1", after: 1999 * time.Millisecond},
		{name: "GETEX", body: `{"key":"k","until":1000002000}`, want: "integer 1", after: time.Hour}, // the past
		{name: "TTL", body: `{"key":"k"}`, want: `not_found: there is nothing under key "k"`},

		{name: "PUT", body: `{"key":"k","value":1}`, want: "integer 1"},
		{name: "EXPIRE", body: `{"key":"k","ttl":0}`, want: "bool true"},
		{name: "EXISTS", body: `{"keys":["k"]}`, want: "integer 0"},
		{name: "PUT", body: `{"key":"k","value":1}`, want: "integer 1"},
		// What the zero time.Time is in milliseconds must not mean for good.
		{name: "EXPIRE", body: `{"key":"k","until":-62135596800000}`, want: "bool true"},
		{name: "EXISTS", body: `{"keys":["k"]}`, want: "integer 0"},
		{name: "PUT", body: `{"key":"k","value":1,"ttl":1000}`, want: "integer 1"},
		{name: "EXPIRE", body: `{"key":"k","ttl":9223372036854775807}`, want: "overflow: a ttl of 9223372036854775807 milliseconds from now does not fit an integer of 64 bits"},
		{name: "EXPIRE", body: `{"key":"k","ttl":-9223372036854775808}`, want: "bool true"},
		{name: "EXISTS", body: `{"keys":["k"]}`, want: "integer 0"},
	})
}

func TestRenameAndCopy(t *testing.T) {
	walk(t, []step{
		{name: "RENAME", body: `{"key":"a","to":"b"}`, want: `not_found: there is nothing under key "a"`},
		{name: "RENAME", body: `{"key":"a","to":"a"}`, want: `not_found: there is nothing under key "a"`},
		{name: "COPY", body: `{"key":"a","to":"b"}`, want: "bool false"},
		{name: "PUT", body: `{"key":"a","value":"x","ttl":5000}`, want: "string x"},
		{name: "RENAME", body: `{"key":"a","to":"a"}`, want: "bool true"},
		{name: "RENAME", body: `{"key":"a","to":"a","nx":true}`, want: "bool false"},
		{name: "RENAME", body: `{"key":"a","to":"b"}`, want: "bool true"},
		{name: "GET", body: `{"key":"a"}`, want: `not_found: there is nothing under key "a"`},
		{name: "TTL", body: `{"key":"b"}`, want: `map {"ttl":5000,"until":1000005000}`},
		{name: "COPY", body: `{"key":"b","to":"c"}`, want: "bool true"},
		{name: "TTL", body: `{"key":"c"}`, want: `map {"ttl":5000,"until":1000005000}`},
		{name: "PUT", body: `{"key":"d","value":1}`, want: "integer 1"},
		{name: "COPY", body: `{"key":"d","to":"c"}`, want: "bool false"},
		{name: "COPY", body: `{"key":"d","to":"c","replace":true}`, want: "bool true"},
		{name: "TTL", body: `{"key":"c"}`, want: `map {"ttl":null,"until":null}`},
		{name: "RENAME", body: `{"key":"d","to":"c","nx":true}`, want: "bool false"},
		{name: "RENAME", body: `{"key":"d","to":"b"}`, want: "bool true"},
		{name: "TTL", body: `{"key":"b"}`, want: `map {"ttl":null,"until":null}`},
		{name: "MGET", body: `{"keys":["a","b","c","d"]}`, want: "list [null,1,1,null]"},
	})
}

func TestMGetIsBounded(t *testing.T) {
	on := memory.New(kv.Service)
	value := values.Bytes(strings.Repeat("v", 1<<20-100))
	if _, err := quorate.Do(t.Context(), on, kv.Put{Key: "k", Value: value}); err != nil {
		t.Fatal(err)
	}
	keys := make([]kv.Key, 17)
	for i := range keys {
		keys[i] = "k"
	}
	if values, err := quorate.Ask(t.Context(), on, kv.MGet{Keys: keys[:16]}); err != nil || len(values) != 16 {
		t.Errorf("16 MiB: %d values, %v", len(values), err)
	}
	if _, err := quorate.Ask(t.Context(), on, kv.MGet{Keys: keys}); quorate.CodeOf(err) != quorate.TooLarge {
		t.Errorf("17 MiB: %v", err)
	}
}
