package cli_test

import (
	"bytes"
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

func ptr[T any](v T) *T { return &v }

func TestVerbsBindTheirWords(t *testing.T) {
	file := mustWrite(t, "value", "from a file\n")
	binary := mustWrite(t, "binary", "\xff\x00")
	object := mustWrite(t, "txn", `{"then":[{"delete":{"key":"a"}}]}`)
	text, number := values.Bytes[string], values.Int

	for _, c := range []struct {
		in   string
		args []string
		want any
	}{
		{"", []string{"put", "color", "green"}, kv.Put{Key: "color", Value: text("green")}},
		{"", []string{"put", "7", "7"}, kv.Put{Key: "7", Value: number(7)}},
		{"", []string{"put", "k", "9223372036854775807"}, kv.Put{Key: "k", Value: number(9223372036854775807)}},
		{"", []string{"put", "k", "-9223372036854775808"}, kv.Put{Key: "k", Value: number(-9223372036854775808)}},
		{"", []string{"put", "k", "9223372036854775808"}, kv.Put{Key: "k", Value: text("9223372036854775808")}},
		{"", []string{"put", "k", "007"}, kv.Put{Key: "k", Value: text("007")}},
		{"", []string{"put", "k", "-0"}, kv.Put{Key: "k", Value: text("-0")}},
		{"", []string{"put", "k", "+1"}, kv.Put{Key: "k", Value: text("+1")}},
		{"", []string{"put", "k", ""}, kv.Put{Key: "k", Value: text("")}},
		{"", []string{"put", "k", "7", "--string"}, kv.Put{Key: "k", Value: text("7")}},
		{"", []string{"put", "--string", "k", "-7"}, kv.Put{Key: "k", Value: text("-7")}},
		{"piped", []string{"put", "k", "-"}, kv.Put{Key: "k", Value: text("piped")}},
		{"42", []string{"put", "k", "-"}, kv.Put{Key: "k", Value: number(42)}},
		{"42\n", []string{"put", "k", "-"}, kv.Put{Key: "k", Value: text("42\n")}},
		{"42", []string{"put", "k", "-", "--string"}, kv.Put{Key: "k", Value: text("42")}},
		{"", []string{"put", "k", "@" + file}, kv.Put{Key: "k", Value: text("from a file\n")}},
		{"", []string{"put", "k", "@" + binary}, kv.Put{Key: "k", Value: text("\xff\x00")}},
		{"\x00<&>\u2028", []string{"put", "k", "-"}, kv.Put{Key: "k", Value: text("\x00<&>\u2028")}},
		{"", []string{"put", "@k", "v"}, kv.Put{Key: "@k", Value: text("v")}},
		{"", []string{"put", "\xff", "v"}, kv.Put{Key: "\xff", Value: text("v")}},
		{"", []string{"put", "k", "v", "--ttl", "1.5s", "--nx"}, kv.Put{Key: "k", Value: text("v"), TTL: ptr[int64](1500), NX: ptr(true)}},
		{"", []string{"put", "k", "v", "--xx"}, kv.Put{Key: "k", Value: text("v"), XX: ptr(true)}},
		{"", []string{"get", "color"}, kv.Get{Key: "color"}},
		{"", []string{"get", "-5"}, kv.Get{Key: "-5"}},
		{"", []string{"delete", "color"}, kv.Delete{Key: "color"}},
		{"", []string{"delete", "a", "-5", "c"}, kv.MDelete{Keys: []kv.Key{"a", "-5", "c"}}},
		{"", []string{"inc", "hits"}, kv.Inc{Key: "hits", By: 1}},
		{"", []string{"inc", "hits", "5"}, kv.Inc{Key: "hits", By: 5}},
		{"", []string{"inc", "hits", "-5"}, kv.Inc{Key: "hits", By: -5}},
		{"", []string{"inc", "--", "hits", "-5"}, kv.Inc{Key: "hits", By: -5}},
		{"", []string{"inc", "hits", "-5", "-o", "json", "--timeout", "3s"}, kv.Inc{Key: "hits", By: -5}},
		{"", []string{"cas", "k", "1", "2"}, kv.Cas{Key: "k", Value: number(2), Expect: ptr(number(1))}},
		{"", []string{"cas", "k", "-1", "-2"}, kv.Cas{Key: "k", Value: number(-2), Expect: ptr(number(-1))}},
		{"", []string{"cas", "k", "1", "2", "--string"}, kv.Cas{Key: "k", Value: text("2"), Expect: ptr(text("1"))}},
		{"", []string{"cas", "--absent", "k", "2"}, kv.Cas{Key: "k", Value: number(2)}},
		{"", []string{"mget", "a", "-5"}, kv.MGet{Keys: []kv.Key{"a", "-5"}}},
		{"p", []string{"mput", "a", "1", "7", "-"}, kv.MPut{Pairs: []quorate.Value{text("a"), number(1), text("7"), text("p")}}},
		{"", []string{"mput", "a", "1", "--string", "--nx"}, kv.MPut{NX: ptr(true), Pairs: []quorate.Value{text("a"), text("1")}}},
		{"", []string{"expire", "k", "90s"}, kv.Expire{Key: "k", TTL: ptr[int64](90_000)}},
		{"", []string{"ttl", "k"}, kv.TTL{Key: "k"}},
		{"", []string{"persist", "k"}, kv.Persist{Key: "k"}},
		{"", []string{"txn", `{"then":[{"delete":{"key":"a"}}]}`}, quorate.Txn{Then: []quorate.Call{mustCall(t, kv.Delete{Key: "a"})}}},
		{`{"then":[{"delete":{"key":"a"}}]}`, []string{"txn", "-"}, quorate.Txn{Then: []quorate.Call{mustCall(t, kv.Delete{Key: "a"})}}},
		{"", []string{"txn", "@" + object}, quorate.Txn{Then: []quorate.Call{mustCall(t, kv.Delete{Key: "a"})}}},
		{"", []string{"exec", "getdel", "k"}, kv.GetDel{Key: "k"}},
		{"", []string{"exec", "APPEND", "k", "-5"}, kv.Append{Key: "k", Value: number(-5)}},
		{"", []string{"exec", "RANGE", "k", "0", "-1"}, kv.Range{Key: "k", Start: 0, End: -1}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			node := &fake{reply: done}
			if c.args[0] == "ttl" {
				node.reply.Value = values.Map()
			}
			got := run(t, c.in, append(c.args[:1:1], append([]string{"--addr", mustServe(t, node)}, c.args[1:]...)...)...)
			if got.exit != 0 {
				t.Fatalf("exit %d: %s", got.exit, got.log)
			}
			sent, want := node.last(t), mustCall(t, c.want)
			if op, _ := quorate.Engine().Lookup(kv.Service, want); sent.Name != op.Name() || !sameArgs(op, sent.Args, want.Args) {
				t.Errorf("sent %s %q, want %s %q", sent.Name, sent.Args, op.Name(), want.Args)
			}
		})
	}
}

// sameArgs says that a command or query is the same: what was left out at the
// end and what is there as its default are.
func sameArgs(op *quorate.Operation, a, b [][]byte) bool {
	for len(a) > 0 && a[len(a)-1] == nil {
		a = a[:len(a)-1]
	}
	for len(b) > 0 && b[len(b)-1] == nil {
		b = b[:len(b)-1]
	}
	if op.Name() == "INC" && len(a) == 1 { // the default is 1
		a = append(a, []byte("1"))
	}
	return reflect.DeepEqual(a, b)
}

func TestAddressesMayBeURLs(t *testing.T) {
	node := &fake{reply: done}
	if got := run(t, "", "inc", "hits", "--addr", "redis://"+mustServe(t, node)+"/", "--id", "call-1"); got.exit != 0 {
		t.Fatalf("exit %d: %s", got.exit, got.log)
	}
	if id := node.last(t).ID; id != "call-1" {
		t.Errorf("the id is %q", id)
	}
}

func TestAgeOfAStaleReadIsAskedForAndPassedOnAsJSON(t *testing.T) {
	node := &fake{reply: quorate.Reply{Value: values.Bytes("green"), Index: 17, Age: 12*time.Millisecond + 300}}
	addr := mustServe(t, node)
	const answer = `{"value":"green","index":17,"age":"12ms"}` + "\n"
	for form, want := range map[string]string{"json": answer, "table": "green\n", "raw": "green"} {
		got := run(t, "", "get", "color", "--addr", addr, "--stale", "500ms", "-o", form)
		if read := node.last(t).Read; got.exit != 0 || got.out != want || read != time.Duration(500*time.Millisecond) {
			t.Errorf("%s: exit %d, output %q, errors %q, asked for %v", form, got.exit, got.out, got.log, time.Duration(read))
		}
	}
	got := run(t, "", "get", "color", "--addr", addr, "-o", "json")
	if read := node.last(t).Read; got.exit != 0 || read != 0 || strings.Contains(got.out, "age") {
		t.Errorf("without --stale: exit %d, asked for %v, output %q", got.exit, time.Duration(read), got.out)
	}
}

func TestOutputForms(t *testing.T) {
	big, text := values.Int(9007199254740993), values.Bytes("a<b\n")
	for _, c := range []struct {
		value      quorate.Value
		form, want string
	}{
		{big, "table", "9007199254740993\n"},
		{big, "json", `{"value":9007199254740993,"index":17}` + "\n"},
		{big, "raw", "9007199254740993"},
		{text, "table", "a<b\n\n"},
		{text, "raw", "a<b\n"},
		{text, "json", `{"value":"a<b\n","index":17}` + "\n"},
		{values.Bytes("\xff\x00"), "table", `{"base64":"/wA="}` + "\n"},
		{values.Bytes("\xff\x00"), "json", `{"value":{"base64":"/wA="},"index":17}` + "\n"},
		{values.Bytes("\xff\x00"), "raw", "\xff\x00"},
		{values.Bool(true), "table", "true\n"},
		{values.Bool(false), "raw", "false"},
		{quorate.Value{}, "table", "\n"},
		{quorate.Value{}, "raw", ""},
		{quorate.Value{}, "json", `{"value":null,"index":17}` + "\n"},
		{values.List(values.Int(1), values.Bytes("a")), "table", `[1,"a"]` + "\n"},
		{values.List(values.Int(1), values.Bytes("a")), "raw", `[1,"a"]`},
	} {
		t.Run(c.form+" "+c.value.String(), func(t *testing.T) {
			node := mustServe(t, &fake{reply: quorate.Reply{Value: c.value, Index: 17}})
			got := run(t, "", "get", "k", "--addr", node, "-o", c.form)
			if got.exit != 0 || got.out != c.want || got.log != "" {
				t.Errorf("exit %d, output %q, errors %q, want output %q", got.exit, got.out, got.log, c.want)
			}
		})
	}
}

// conflict is the reply of a command that found something else.
func conflict(there quorate.Value) quorate.Reply {
	return quorate.Reply{Index: 17, Err: &quorate.Error{Code: quorate.Conflict, Message: "not as expected", Value: there}}
}

func TestExitCodesFollowTheAnswer(t *testing.T) {
	const sure, unsure = quorate.NotApplied, quorate.Unknown
	const again = "; it may have been applied: repeat the command with --id x, under which it takes effect once"
	for _, c := range []struct {
		verb  string
		reply quorate.Reply
		exit  int
		log   string
	}{
		{"get", refusing(quorate.NotFound, sure, `there is nothing under key "k"`), 3, `there is nothing under key "k"`},
		{"put", conflict(values.Bytes("blue")), 6, `not as expected: it is "blue"`},
		{"put", conflict(quorate.Value{}), 6, `not as expected: there is nothing`},
		{"put", refusing(quorate.WrongType, sure, "holds a string"), 1, `holds a string`},
		{"put", refusing(quorate.Overflow, sure, "does not fit"), 1, `does not fit`},
		{"put", refusing(quorate.Invalid, sure, "the key is empty"), 2, `the key is empty`},
		{"put", refusing(quorate.TooLarge, sure, "too large"), 2, `too large`},
		{"put", refusing(quorate.Unavailable, sure, "no leader"), 4, `no leader`},
		{"put", refusing(quorate.Overloaded, sure, "the queue is full"), 4, `the queue is full`},
		{"put", refusing(quorate.Unavailable, unsure, "no majority"), 4, "no majority" + again},
		{"put", refusing(quorate.Unavailable, unsure, "it is not known whether the call was applied: no majority"), 4, "no majority" + again},
		{"put", refusing(quorate.Internal, unsure, "the node is at fault"), 4, "the node is at fault" + again},
		{"put", refusing(quorate.IDReused, sure, "the id was used for another call"), 1, `the id was used for another call`},
		{"get", refusing(quorate.Internal, sure, "the node is at fault"), 1, `the node is at fault`},
		{"get", refusing(quorate.Unavailable, unsure, "it is not known whether the call was applied: no leader"), 4, `no leader`},
		{"get", refusing(quorate.TooOld, sure, "the copy is old"), 4, `the copy is old`},
		{"put", refusing("sold_out", sure, "two\nlines"), 1, `two; lines`},
	} {
		t.Run(c.verb+" "+c.log, func(t *testing.T) {
			t.Parallel()
			args := []string{"put", "k", "v", "--id", "x"}
			if c.verb == "get" {
				args = []string{"get", "k"}
			}
			got := run(t, "", append(args, "--addr", mustServe(t, &fake{reply: c.reply}), "--timeout", "500ms")...)
			if got.exit != c.exit || got.log != c.log+"\n" || got.out != "" {
				t.Errorf("exit %d, output %q, errors %q, want exit %d and errors %q", got.exit, got.out, got.log, c.exit, c.log)
			}
		})
	}
}

func TestErrorsAreJSONWhereJSONWasAskedFor(t *testing.T) {
	other := mustServe(t, &fake{reply: conflict(values.Int(9007199254740993))})
	missing := mustServe(t, &fake{reply: refusing(quorate.NotFound, quorate.NotApplied, "nothing")})
	led := quorate.Reply{Err: &quorate.Error{Code: quorate.Unavailable, Message: "not here", Leader: "n2:7302"}}
	silent := nobody(t)
	for _, c := range []struct {
		args []string
		exit int
		want string
	}{
		{[]string{"cas", "k", "1", "2", "--addr", other, "-o", "json"}, 6,
			`{"error":"not as expected","code":"conflict","outcome":"not_applied","value":9007199254740993}`},
		{[]string{"get", "k", "--addr", missing, "-o", "json"}, 3, `{"error":"nothing","code":"not_found"}`},
		{[]string{"get", "k", "--addr", mustServe(t, &fake{reply: led}), "-o", "json", "--timeout", "100ms"}, 4,
			`{"error":"not here","code":"unavailable","outcome":"not_applied","leader":"n2:7302"}`},
		{[]string{"inc", "k", "--addr", silent, "--output=json"}, 4,
			`{"error":"nothing answers at ` + silent + `: start a node with: cli.test dev","code":"unavailable","outcome":"not_applied"}`},
		{[]string{"inc", "k", "x", "-ojson"}, 2, `{"error":"\"x\" is not an integer of 64 bits","code":"usage"}`},
		{[]string{"get", "k", "--nonsense", "-o=json"}, 2,
			`{"error":"unknown flag: --nonsense; usage: cli.test get KEY [flags]","code":"usage"}`},
	} {
		got := run(t, "", c.args...)
		if got.exit != c.exit || got.log != c.want+"\n" || got.out != "" {
			t.Errorf("%s: exit %d, output %q, errors %q, want exit %d and errors %q", c.args, got.exit, got.out, got.log, c.exit, c.want)
		}
	}
}

func TestUsageErrorsAreOneLineAndExitTwo(t *testing.T) {
	large := strings.Repeat("x", 1<<20+1)
	empty := mustWrite(t, "empty", "\n")
	for _, c := range []struct {
		in   string
		args []string
		want string
	}{
		{"", []string{"nonsense"}, `unknown command "nonsense"`},
		{"", []string{"gte"}, "Did you mean this? get"},
		{"", []string{"get"}, "accepts 1 arg(s), received 0; usage: cli.test get KEY"},
		{"", []string{"put", "k", "v", "w"}, "accepts 2 arg(s), received 3"},
		{"", []string{"cas", "k", "v"}, "accepts 3 arg(s), received 2"},
		{"", []string{"cas", "--absent", "k", "v", "w"}, "accepts 2 arg(s), received 3; usage: cli.test cas {KEY OLD NEW | --absent KEY NEW} [flags]"},
		{"", []string{"status", "x"}, "status"},
		{"", []string{"mput", "k", "v", "l"}, "accepts keys and values in turns, received 3 arg(s); usage: cli.test mput {KEY VALUE}... [flags]"},
		{"", []string{"mput"}, "requires at least 2 arg(s)"},
		{"", []string{"mget"}, "requires at least 1 arg(s)"},
		{"", []string{"delete"}, "requires at least 1 arg(s)"},
		{"", []string{"exec"}, "requires at least 1 arg(s)"},
		{"", []string{"exec", "TAKE"}, `service kv has no operation "TAKE"; it has APPEND, CAS, `},
		{"", []string{"exec", "INC", "k", "x"}, "argument value"},
		{"", []string{"exec", "INC", "k", "--stale", "1s"}, "INC is a command: only a query can be --stale"},
		{"", []string{"exec", "GET", "k", "--id", "x"}, "GET is a query: only a command has an --id"},
		{"", []string{"txn", "nonsense"}, "not JSON"},
		{"", []string{"txn", `{"then":[{"take":{}}]}`}, "no operation"},
		{"", []string{"scan", "a", "b"}, "accepts at most 1 arg(s)"},
		{"", []string{"scan", "--limit", "-1"}, `--limit is "-1": must be a whole number from 0 on`},
		{"", []string{"expire", "k", "soon"}, `the duration is "soon": it must be a duration over 0 such as 500ms`},
		{"", []string{"expire", "k", "90"}, `the duration is "90": it must be a duration over 0 such as 500ms`},
		{"", []string{"put", "k", "v", "--ttl", "-1s"}, `--ttl is "-1s": must be a duration over 0 such as 500ms`},
		{"", []string{"get", "k", "-o", "xml"}, `--output is "xml": must be one of table, json, raw`},
		{"", []string{"get", "k", "--timeout", "soon"}, `--timeout is "soon": must be a duration such as 500ms or 5s`},
		{"", []string{"get", "k", "--stale", "0s"}, `--stale is "0s": must be a duration over 0 such as 500ms`},
		{"", []string{"get", "k", "--stale", "old"}, `--stale is "old": must be a duration over 0 such as 500ms`},
		{"", []string{"put", "k", "v", "--stale", "1s"}, "unknown flag: --stale"},
		{"", []string{"status", "--stale", "1s"}, "unknown flag: --stale"},
		{"", []string{"put", "k", "v", "--string=zz"}, `--string is "zz": must be true or false`},
		{"", []string{"serve", "--snapshot-entries", "-1"}, `--snapshot-entries is "-1": must be a whole number from 0 on`},
		{"", []string{"get", "k", "--timeout", "0s"}, "a timeout of 0s leaves no time"},
		{"", []string{"get", "k", "--timeout", "-5"}, "--timeout"},
		{"", []string{"get", "k", "--addr", "somewhere"}, `address "somewhere": write it as host:port, such as 127.0.0.1:7301`},
		{"", []string{"get", "k", "--addr", "http://127.0.0.1:7300"}, "http is not spoken here; write the Redis address of a node as host:port, such as 127.0.0.1:7301"},
		{"", []string{"get", "k", "--addr", "127.0.0.1:1/v1"}, "write it as host:port"},
		{"", []string{"get", "k", "--addr", "127.0.0.1:0"}, "name a port from 1 to 65535"},
		{"", []string{"get", "k", "--addr", ""}, "names no address"},
		{"", []string{"status", "--addr", "somewhere"}, `address "somewhere": write it as host:port`},
		{"", []string{"get", "k", "--password-file", empty}, "holds no password"},
		{"", []string{"get", "k", "--tls-ca", empty}, "holds no certificate"},
		{"", []string{"put", "k", "v", "--id", "a b"}, "printable ASCII"},
		{"", []string{"put", "k", "v", "--id", strings.Repeat("x", quorate.CallIDBytesMax+1)}, "over the limit"},
		{"", []string{"get", "k", "--id", "x"}, "unknown flag: --id"},
		{"", []string{"put", "k", "@/no/such/file"}, "standard input"},
		{large, []string{"put", "k", "-"}, "standard input holds more than 1048576 bytes, which is the limit of one call"},
		{large[1:], []string{"put", "k", "-"}, "arguments of 1048577 bytes are over the limit of 1048576"},
		{"v", []string{"cas", "k", "-", "-"}, "only one value can come from standard input"},
		{"", []string{"inc", "k", "1.5"}, `"1.5" is not an integer`},
		{"", []string{"-5"}, "-5"},
		{"", []string{"serve"}, "--data-dir is missing: give it, or set QUORATE_DATA_DIR"},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1"}, "--peer is missing"},
		{"", []string{"serve", "--data-dir", "d", "--http", "nowhere", "--peer", "127.0.0.1:1"}, `address "nowhere"`},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--resp", "nowhere", "--peer", "127.0.0.1:1"}, `--resp: address "nowhere": write it as host:port, such as 127.0.0.1:7301`},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", "127.0.0.1:1", "--resp-password-file", empty}, "--resp is missing"},
		{"", []string{"dev", "--resp-password-file", empty}, "--resp-password-file: "},
		{"", []string{"dev", "--resp-cert", empty}, "--resp-cert and --resp-key go together"},
		{"", []string{"dev", "--resp-max-clients", "0"}, "--resp-max-clients is 0"},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", "127.0.0.1:1", "--join", "a:1,b"}, `--join: address "b"`},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", "0.0.0.0:7302"},
			`--peer: address "0.0.0.0:7302": name the host under which the other nodes reach this one`},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", ":7302"}, "--peer: address \":7302\": name the host"},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", "n1:0"}, "--peer: address \"n1:0\": name a port"},
		{"", []string{"serve", "--data-dir", "d", "--http", "127.0.0.1:1", "--peer", "n1:1", "--join", "n1:1,[::]:1"}, `--join: address "[::]:1": name the host`},
		{"", []string{"dev", "--peer", "0.0.0.0:7302"}, "--peer: address"},
		{"", []string{"dev", "--log-level", "loud"}, `--log-level is "loud": must be one of debug, info, warn, error`},
		{"", []string{"dev", "--snapshot-entries", "1"}, "unknown flag"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			got := run(t, c.in, c.args...)
			if got.exit != 2 || !strings.Contains(got.log, c.want) || strings.Count(got.log, "\n") != 1 || got.out != "" {
				t.Errorf("exit %d, output %q, errors %q, want exit 2 and one line with %q", got.exit, got.out, got.log, c.want)
			}
		})
	}
}

func TestLargestValueArrivesAsItIs(t *testing.T) {
	for _, text := range []string{"x", "\x00", "<", "\xff", "\"", "\u2028"} {
		node := &fake{reply: done}
		// A byte each for the key and what tells bytes from digits.
		value := strings.Repeat(text, (1<<20-2)/len(text))
		if got := run(t, value, "put", "k", "-", "--addr", mustServe(t, node)); got.exit != 0 {
			t.Fatalf("%q: exit %d: %s", text, got.exit, got.log)
		}
		want := mustCall(t, kv.Put{Key: "k", Value: values.Bytes(value)})
		if got := node.last(t); !bytes.Equal(got.Args[1], want.Args[1]) {
			t.Errorf("a value of %q arrives as one of %d bytes", text, len(got.Args[1]))
		}
	}
}

func TestProgramHasTheVerbsOfItsService(t *testing.T) {
	tickets := quorate.Define("tickets", quorate.Write[kv.Inc]("INC"), quorate.Write[kv.Delete]("DELETE"))
	var out, log bytes.Buffer
	if exit := cli.Run(t.Context(), tickets, []string{"--help"}, strings.NewReader(""), &out, &log); exit != 0 {
		t.Fatalf("exit %d: %s", exit, log.String())
	}
	text := out.String()
	for verb, want := range map[string]bool{"inc": true, "delete": true, "exec": true, "txn": true, "put": false, "scan": false, "mget": false} {
		if strings.Contains(text, "  "+verb+" ") != want {
			t.Errorf("%s in the help of a service with INC and DELETE: want %v:\n%s", verb, want, text)
		}
	}
	for _, args := range [][]string{{"get", "k"}, {"delete", "k", "l"}} {
		if exit := cli.Run(t.Context(), tickets, args, strings.NewReader(""), &out, &log); exit != 2 {
			t.Errorf("%s without an operation for it: exit %d", args, exit)
		}
	}
}

func TestHelpTellsExitCodes(t *testing.T) {
	got := run(t, "", "--help")
	want := "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 unavailable or outcome\nunknown, 6 conflict."
	if got.exit != 0 || !strings.Contains(got.out, want) {
		t.Errorf("exit %d, help:\n%s", got.exit, got.out)
	}
}

func TestHelpOfExecListsTheOperations(t *testing.T) {
	got := run(t, "", "exec", "--help")
	if want := "\n  GETDEL key (string)\n"; got.exit != 0 || !strings.Contains(got.out, want) {
		t.Errorf("exit %d, help:\n%s", got.exit, got.out)
	}
}

func TestVersionIsOneLine(t *testing.T) {
	got := run(t, "", "version")
	if got.exit != 0 || !strings.HasPrefix(got.out, "cli.test ") || strings.Count(got.out, "\n") != 1 {
		t.Errorf("exit %d, output %q", got.exit, got.out)
	}
}

func TestInterruptEndsACall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range [][]string{{"get", "k"}, {"put", "k", "v"}, {"scan"}, {"status"}} {
		got := runUntil(ctx, "", append(args, "--addr", nobody(t))...)
		if got.exit != 1 || got.log != "interrupted\n" {
			t.Errorf("%s: exit %d, errors %q", args, got.exit, got.log)
		}
	}
}
