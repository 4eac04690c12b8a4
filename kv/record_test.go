package kv_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
)

// The lines of a golden file are calls, and what the state holds after them. A
// record that stands in one must be read for ever. Those of version 1 have no
// revision.
const (
	goldenOld = "testdata/state-v1.txt"
	golden    = "testdata/state-v2.txt"
)

func TestStateIsLaidOutAsDrawn(t *testing.T) {
	on := memory.New(kv.Service)
	var got strings.Builder
	for _, call := range []struct{ name, body string }{
		{"INC", `{"key":"hits","value":300}`},
		{"PUT", `{"key":7,"value":-1}`},
		{"PUT", `{"key":"s","value":"300"}`},
		{"PUT", `{"key":"empty","value":""}`},
		{"PUT", `{"key":{"base64":"AP8="},"value":{"base64":"/wA="}}`},
	} {
		if reply := mustCall(t, on, call.name, call.body); reply.Err != nil {
			t.Fatal(reply.Err)
		}
		fmt.Fprintf(&got, "%s %s\n", call.name, call.body)
	}
	for key, value := range on.Data.Scan(nil, nil) {
		fmt.Fprintf(&got, "% x = % x\n", key, value)
	}
	if *rewrite {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the state is\n%swant\n%s", got.String(), want)
	}
}

func TestRecordsOfAllVersionsAreRead(t *testing.T) {
	for _, file := range []string{goldenOld, golden} {
		on := memory.New(kv.Service)
		on.Data = mustReadState(t, file)
		for key, want := range map[string]string{
			`"hits"`: "integer 300", `7`: "integer -1", `"s"`: "string 300", `"empty"`: "string ",
			`{"base64":"AP8="}`: "string \xff\x00",
		} {
			if got := show(mustCall(t, on, "GET", `{"key":`+key+`}`)); got != want {
				t.Errorf("%s: key %s is %q, want %q", file, key, got, want)
			}
		}
		// A write gives even a record of old another version.
		before := mustCall(t, on, "VERSION", `{"key":"hits"}`).Value.Uint()
		on.Index = 10
		if got := show(mustCall(t, on, "INC", `{"key":"hits"}`)); got != "integer 301" {
			t.Errorf("%s: INC hits is %q", file, got)
		}
		after := mustCall(t, on, "VERSION", `{"key":"hits"}`).Value.Uint()
		if before == 0 || after <= before {
			t.Errorf("%s: the version went from %d to %d", file, before, after)
		}
	}
}

// mustReadState is the records of a golden file.
func mustReadState(t *testing.T, file string) memory.State {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	state := make(memory.State)
	for line := range strings.Lines(string(text)) {
		key, value, found := strings.Cut(strings.TrimSpace(line), " =")
		if !found {
			continue // a call
		}
		state[mustHex(t, key)] = memory.Item{Value: mustHex(t, value)}
	}
	if len(state) != 5 {
		t.Fatalf("%s holds %d records", file, len(state))
	}
	return state
}

func mustHex(t *testing.T, text string) string {
	t.Helper()
	data, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRecordOfANewerVersionIsLeftAlone(t *testing.T) {
	for _, record := range []string{
		"", "\x03x", "\x01short", "\x21\x00\x00\x00\x00\x00\x00\x00\x00", "\x22x", "\x33\x01x",
		"\x11", "\x12", "\x12\x80", "\x11\x01short", "\x11\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x",
	} {
		on := memory.New(kv.Service)
		on.Data["kv\x00k"] = memory.Item{Value: record}
		for name, body := range map[string]string{
			"GET": `{"key":"k"}`, "INC": `{"key":"k"}`, "CAS": `{"key":"k","value":1}`, "VERSION": `{"key":"k"}`,
			"APPEND": `{"key":"k","value":1}`, "EXPIRE": `{"key":"k","ttl":1}`, "GETDEL": `{"key":"k"}`,
			"RENAME": `{"key":"k","to":"l"}`, "COPY": `{"key":"k","to":"l"}`, "INCFLOAT": `{"key":"k","value":1}`,
			"GETPUT": `{"key":"k","value":1}`, "PUT": `{"key":"k","value":1,"nx":true}`, "SCAN": `{"values":true}`,
			"SETRANGE": `{"key":"k","offset":0,"value":"x"}`, "GETEX": `{"key":"k","persist":true}`, "MGET": `{"keys":["k"]}`,
		} {
			if reply := mustCall(t, on, name, body); quorate.CodeOf(reply.Err) != quorate.Internal {
				t.Errorf("%s on record % x: %s", name, record, show(reply))
			}
		}
		if on.Data["kv\x00k"].Value != record || len(on.Data) != 1 {
			t.Errorf("record % x became % x", record, on.Data["kv\x00k"].Value)
		}
	}
}

func TestVersionChangesWithEachWriteAndWithNothingElse(t *testing.T) {
	on := memory.New(kv.Service)
	version := func(key string) uint64 {
		t.Helper()
		reply := mustCall(t, on, "VERSION", `{"key":"`+key+`"}`)
		if reply.Err != nil {
			t.Fatal(reply.Err)
		}
		return reply.Value.Uint()
	}
	if got := version("k"); got != 0 {
		t.Errorf("the version of nothing is %d", got)
	}
	seen := map[uint64]string{0: "nothing"}
	for _, call := range []struct{ name, body string }{
		{"PUT", `{"key":"k","value":1}`}, {"PUT", `{"key":"k","value":1}`}, {"GETPUT", `{"key":"k","value":1}`},
		{"MPUT", `{"pairs":["k",1]}`}, {"CAS", `{"key":"k","value":1,"expect":1}`}, {"INC", `{"key":"k","value":0}`},
		{"INCFLOAT", `{"key":"k","value":0}`}, {"EXPIRE", `{"key":"k","ttl":5000}`}, {"EXPIRE", `{"key":"k","ttl":5000}`},
		{"PERSIST", `{"key":"k"}`}, {"GETEX", `{"key":"k","ttl":5000}`}, {"GETEX", `{"key":"k","persist":true}`},
		{"APPEND", `{"key":"k","value":""}`}, {"SETRANGE", `{"key":"k","offset":0,"value":"1"}`},
		{"COPY", `{"key":"k","to":"l"}`}, {"RENAME", `{"key":"l","to":"k"}`},
	} {
		if reply := mustCall(t, on, call.name, call.body); reply.Err != nil {
			t.Fatal(call, reply.Err)
		}
		now := version("k")
		if call.name == "COPY" {
			now = version("l")
		}
		if before, known := seen[now]; known {
			t.Errorf("%s %s: the version %d is that of %s", call.name, call.body, now, before)
		}
		seen[now] = call.name
	}
	before := version("k")
	for _, call := range []struct{ name, body string }{
		{"GET", `{"key":"k"}`}, {"TTL", `{"key":"k"}`}, {"PERSIST", `{"key":"k"}`}, {"GETEX", `{"key":"k"}`},
		{"PUT", `{"key":"k","value":1,"nx":true}`}, {"EXPIRE", `{"key":"k","ttl":1,"xx":true}`},
		{"SETRANGE", `{"key":"k","offset":0,"value":""}`}, {"COPY", `{"key":"m","to":"k","replace":true}`},
		{"RENAME", `{"key":"k","to":"k"}`}, {"INC", `{"key":"k","value":1}`},
	} {
		_ = mustCall(t, on, call.name, call.body) // some are refused
		if now := version("k"); now != before {
			t.Errorf("%s %s: the version went from %d to %d", call.name, call.body, before, now)
		}
	}
	_ = mustCall(t, on, "DELETE", `{"key":"k"}`)
	if got := version("k"); got != 0 {
		t.Errorf("the version of what was deleted is %d", got)
	}
}
