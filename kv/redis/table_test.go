package redis_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/kv/redis"
	"github.com/quorate/quorate/values"
)

func TestTableHasTheCommandsThatAreNamed(t *testing.T) {
	var got []string
	for _, cmd := range redis.Table().Commands {
		got = append(got, cmd.Name)
		if name := cmd.Docs.Info.List()[0].Text(); strings.ToUpper(name) != cmd.Name {
			t.Errorf("the docs of %s are those of %s", cmd.Name, name)
		}
		if (cmd.Call == nil) == (cmd.Run == nil) || (cmd.Call == nil) != (cmd.Reply == nil) {
			t.Errorf("%s is neither one call nor run", cmd.Name)
		}
	}
	if slices.Sort(got); !slices.Equal(got, names) {
		t.Errorf("the commands are %q", got)
	}
}

// The answers that differ from those of Redis on purpose; docs/REDIS.md says
// why. The lines stand one behind the other.
func TestIntendedDifferences(t *testing.T) {
	on := newOurs(t)
	long := strings.Repeat("k", kv.KeyBytesMax+1)
	for _, c := range []struct{ line, want string }{
		{`SET "" v`, "-ERR the key is empty"},
		{`GET ""`, "-ERR the key is empty"},
		{`SET ` + long + ` v`, "-ERR a key of 4094 bytes is over the limit of 4093"},
		{`DEL a ` + long, "-ERR a key of 4094 bytes is over the limit of 4093"},
		{`SETRANGE k 1048576 x`, "-ERR the string would be longer than the limit of 1048576 bytes"},
		{`SETRANGE k 536870911 x`, "-ERR the string would be longer than the limit of 1048576 bytes"},
		{`SETRANGE k 1048575 x`, ":1048576"},
		{`APPEND k x`, "-ERR the string would be longer than the limit of 1048576 bytes"},
		{`COPY k l DB 1`, "-ERR DB index is out of range"},
		{`SCAN 5`, "-ERR invalid cursor"},
		{`SCAN -1`, "-ERR invalid cursor"},
		{`SET n 1`, "+OK"},
		{`APPEND n 2`, ":2"},
		{`OBJECT ENCODING n`, `"embstr"`},
		{`INCRBYFLOAT n 0`, `"12"`},
		{`OBJECT ENCODING n`, `"int"`},
		{`SET n v EX 9000000000000000`, "+OK"},
		{`PEXPIRETIME n`, ":9223372036854"},
		{`KEYS ` + strings.Repeat("*", 4097), "-ERR a pattern of 4097 bytes is over the limit of 4096"},
	} {
		if got := shown(on.do(words(t, c.line)...)); got != c.want {
			t.Errorf("%.60s\n got %s\nwant %s", c.line, got, c.want)
		}
	}
}

// Text that reads as an integer is one at the other doors, and a string that
// was put there is text like any other here.
func TestValuesOfOtherDoors(t *testing.T) {
	on := newOurs(t)
	for text, kind := range map[string]values.Kind{
		"7": values.KindInt, "-7": values.KindInt, "0": values.KindInt, "9223372036854775807": values.KindInt, "9223372036854775808": values.KindBytes,
		"07": values.KindBytes, "-0": values.KindBytes, "+7": values.KindBytes, "": values.KindBytes, "\x007": values.KindBytes, "\x00": values.KindBytes, "7 ": values.KindBytes,
	} {
		for _, args := range [][]string{{"SET", "k", text}, {"MSET", "k", text}, {"GETSET", "k", text}, {"SETEX", "k", "10", text}, {"SET", "k", text, "GET"}} {
			_ = on.do(args...)
			value, err := quorate.Ask(t.Context(), on.on, kv.Get{Key: "k"})
			if err != nil || value.Kind() != kind || value.String() != text {
				t.Errorf("%q is stored as %s %q (%v)", args, value.Kind(), value, err)
			}
			if got := on.do("GET", "k"); got.Text() != text {
				t.Errorf("%q comes back as %q", args, got.Text())
			}
		}
	}
	if _, err := quorate.Do(t.Context(), on.on, kv.Put{Key: "k", Value: values.Bytes("7")}); err != nil {
		t.Fatal(err)
	}
	if got := shown(on.do("INCR", "k")); got != ":8" {
		t.Errorf("INCR of a string that was put elsewhere: %s", got)
	}
	// Keys are bytes, whatever they read as.
	for _, key := range []string{"7", "\x00", "\x007", "-0", "\xff"} {
		_ = on.do("MSET", key, "v")
		if got := shown(on.do("GET", key)); got != `"v"` {
			t.Errorf("key %q: %s", key, got)
		}
	}
}

// An argument that is made here is the one that the language would make.
func TestArgumentsAreThoseOfTheLanguage(t *testing.T) {
	on := newOurs(t)
	put, _ := quorate.Engine().Lookup(kv.Service, quorate.Call{Name: "PUT"})
	for _, text := range []string{"", "7", "07", "\x00", "\x007", "x"} {
		_ = on.do("SET", "k", text)
		want, err := quorate.Engine().ArgsFromText(put, [][]byte{[]byte("k"), []byte(text)})
		if got := on.on.Calls[len(on.on.Calls)-1].Args; err != nil || len(got) != 2 || string(got[1]) != string(want[1]) {
			t.Errorf("text %q is the argument %q, want %q (%v)", text, got, want, err)
		}
	}
}

func TestWatchSeesEachWrite(t *testing.T) {
	on := newOurs(t)
	version := func() string {
		return on.on.Execute(t.Context(), []quorate.Call{on.table.Watch([]byte("k"))})[0].Value.String()
	}
	before := version()
	for _, line := range []string{
		"SET k 1", "SET k 1", "INCRBY k 0", "EXPIRE k 100", "EXPIRE k 100", "PERSIST k", "GETEX k EX 100", "APPEND k x", "SETRANGE k 0 y",
		"GETSET k 1", "MSET k 1", "DEL k", "SETNX k 1", "RENAME k l", "COPY l k", "INCRBYFLOAT k 0", "GETDEL k", "SET k 1", "FLUSHALL",
	} {
		if v := on.do(words(t, line)...); v.IsError() {
			t.Fatal(line, shown(v))
		}
		now := version()
		if now == before {
			t.Errorf("%s leaves the version at %s", line, now)
		}
		before = now
	}
	for _, line := range []string{"GET k", "SET l 1", "DEL k", "EXISTS k", "EXPIRE k 100", "SET k 1 XX", "TOUCH k"} {
		_ = on.do(words(t, line)...)
		if now := version(); now != before {
			t.Errorf("%s changes the version from %s to %s", line, before, now)
		}
	}
}

func TestScanGoesOnWhereItWas(t *testing.T) {
	on := newOurs(t)
	var want []string
	for i := range 300 {
		key := fmt.Sprintf("key:%03d", i)
		want = append(want, key)
		_ = on.do("SET", key, "v")
	}
	for _, count := range []string{"1", "7", "300", "10000", "9223372036854775807"} {
		if got := scanAll(t, on, "COUNT", count); !slices.Equal(got, want) {
			t.Errorf("with COUNT %s, %d keys", count, len(got))
		}
	}
	if got := scanAll(t, on, "MATCH", "key:1?0"); len(got) != 10 {
		t.Errorf("10 keys match, and not %q", got)
	}
	first, again := on.do("SCAN", "0"), on.do("SCAN", "0")
	if shown(first) != shown(again) {
		t.Errorf("the same page has two cursors: %s, %s", shown(first), shown(again))
	}
	cursor, err := strconv.ParseUint(first.List()[0].Text(), 10, 64)
	if err != nil || cursor == 0 || cursor >= 1<<53 {
		t.Errorf("cursor %d does not fit a double (%v)", cursor, err)
	}
}

// Nobody knows how many scans clients begin and never end.
func TestOnlyTheNewestPositionsAreRemembered(t *testing.T) {
	on := newOurs(t)
	_, _ = on.do("SET", "a", "v"), on.do("SET", "b", "v")
	_, _ = on.do("SET", "c", "v"), on.do("SET", "d", "v")
	page := func(cursor string) resp.Value { return on.do("SCAN", cursor, "COUNT", "1") }
	oldest := page("0").List()[0].Text()
	second := page(oldest).List()[0].Text()
	// 16,384 positions are remembered: of these two, and of all but two more.
	positions := func(n int, prefix string) {
		for i := range n {
			on.on.Data = memory.State{"kv\x00" + fmt.Sprint(prefix, i): {Value: "\x02"}, "kv\x00z": {Value: "\x02"}}
			if v := page("0"); len(v.List()) != 2 || v.List()[0].Text() == "0" {
				t.Fatal(shown(v))
			}
		}
	}
	positions(16<<10-2, "p")
	if v := page(oldest); v.IsError() {
		t.Errorf("while there is room, the oldest is known: %s", shown(v))
	}
	positions(1, "q")
	if v := page(oldest); shown(v) != "-ERR invalid cursor" {
		t.Errorf("the oldest is still known: %s", shown(v))
	}
	if v := page(second); v.IsError() {
		t.Errorf("the second oldest is gone too: %s", shown(v))
	}
}

func TestCommandsOverAllKeysGoOnFromPartToPart(t *testing.T) {
	on := newOurs(t)
	const keys = 100_001 // one more than a SIZE counts
	for i := range keys {
		on.on.Data[fmt.Sprintf("kv\x00key:%06d", i)] = memory.Item{Value: "\x02"}
	}
	if got := shown(on.do("DBSIZE")); got != ":100001" {
		t.Errorf("DBSIZE: %s", got)
	}
	if got := on.do("KEYS", "*9"); len(got.List()) != keys/10 {
		t.Errorf("KEYS: %d", len(got.List()))
	}
	clear(on.on.Data)
	for i := range 5_000 {
		on.on.Data[fmt.Sprintf("kv\x00key:%06d", i)] = memory.Item{Value: "\x02"}
	}
	before := on.on.Index
	if got := shown(on.do("FLUSHALL")); got != "+OK" || len(on.on.Data) != 0 || on.on.Index-before != 3 {
		t.Errorf("FLUSHALL: %s after %d parts, %d keys are left", got, on.on.Index-before, len(on.on.Data))
	}
}

func TestKeysThatAreTooManyAreAnError(t *testing.T) {
	on := newOurs(t)
	page := values.Map(
		values.Bytes("keys"), values.List(slices.Repeat([]quorate.Value{values.Bytes("key")}, kv.ScanMax)...),
		values.Bytes("next"), values.Bytes("key"), values.Bytes("more"), values.Bool(true))
	pages := 0
	endless := memory.Func(func(_ context.Context, calls []quorate.Call) []quorate.Reply {
		pages++
		return []quorate.Reply{{Value: page}}
	})
	got := on.commands["KEYS"].Run(t.Context(), endless, [][]byte{[]byte("*")})
	if shown(got) != "-ERR more than 1000000 keys or 67108864 bytes match: use SCAN" || pages != 101 {
		t.Errorf("after %d pages: %s", pages, shown(got))
	}
}

// A FLUSHALL that fails behind its first part has changed something, and one
// that fails at once has not.
func TestFlushThatFailsSaysWhetherKeysAreGone(t *testing.T) {
	for failing, want := range map[int]string{
		1: "-TRYAGAIN no leader",
		2: "-UNKNOWN some keys are gone: no leader",
	} {
		on := newOurs(t)
		for i := range 2_001 {
			on.on.Data[fmt.Sprintf("kv\x00%05d", i)] = memory.Item{Value: "\x02"}
		}
		part := 0
		failingAt := memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
			if part++; part == failing {
				return []quorate.Reply{{Err: &quorate.Error{Code: quorate.Unavailable, Message: "no leader"}}}
			}
			return on.on.Execute(ctx, calls)
		})
		if got := shown(on.commands["FLUSHALL"].Run(t.Context(), failingAt, nil)); got != want {
			t.Errorf("part %d fails: %s, want %s", failing, got, want)
		}
	}
}

// A query that failed changed nothing, whatever became of it.
func TestQueriesOverAllKeysThatFailChangedNothing(t *testing.T) {
	on := newOurs(t)
	lost := memory.Func(func(context.Context, []quorate.Call) []quorate.Reply {
		return []quorate.Reply{{Err: &quorate.Error{Code: quorate.Unavailable, Message: "no answer in time", Outcome: quorate.Unknown}}}
	})
	for _, name := range []string{"KEYS", "DBSIZE"} {
		got := on.commands[name].Run(t.Context(), lost, [][]byte{[]byte("*")})
		if shown(got) != "-TRYAGAIN no answer in time" {
			t.Errorf("%s: %s", name, shown(got))
		}
	}
}

// INFO is asked for often: counting takes at most a tenth of the time.
func TestKeysAreNotCountedAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		on := newOurs(t)
		_, _ = on.do("SET", "a", "v"), on.do("SET", "b", "v", "EX", "100")
		asked := 0
		slow := memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
			asked++
			time.Sleep(time.Second)
			return on.on.Execute(ctx, calls)
		})
		count := func(want int64, times int) {
			t.Helper()
			keys, expiring, err := on.table.Keys(t.Context(), slow)
			if err != nil || keys != want || expiring != 1 || asked != times {
				t.Errorf("%d keys, %d expiring, asked %d times (%v), want %d keys, asked %d times", keys, expiring, asked, err, want, times)
			}
		}
		count(2, 1)
		_ = on.do("SET", "c", "v")
		time.Sleep(9 * time.Second)
		count(2, 1)
		time.Sleep(2 * time.Second)
		count(3, 2)
	})
}
