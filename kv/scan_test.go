package kv_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// filled is an executor with keys whose values are their places.
func filled(t testing.TB, keys ...string) *memory.Executor {
	t.Helper()
	on := memory.New(kv.Service)
	for i, key := range keys {
		if _, err := quorate.Do(t.Context(), on, kv.Put{Key: kv.Key(key), Value: values.Int(int64(i))}); err != nil {
			t.Fatal(err)
		}
	}
	return on
}

func TestScanShowsPagesInOrder(t *testing.T) {
	on := filled(t, "b", "a", "user/2", "user/1", "user/10", "user\xff", "zz", "\xff", "\xff\xff")
	for _, c := range []struct{ body, want string }{
		{`{}`, `{"keys":["a","b","user/1","user/10","user/2",{"base64":"dXNlcv8="},"zz",{"base64":"/w=="},{"base64":"//8="}],` +
			`"values":[],"next":{"base64":"//8="},"more":false}`},
		{`{"limit":2,"values":true}`, `{"keys":["a","b"],"values":[1,0],"next":"b","more":true}`},
		{`{"limit":2,"after":"b"}`, `{"keys":["user/1","user/10"],"values":[],"next":"user/10","more":true}`},
		{`{"prefix":"user/"}`, `{"keys":["user/1","user/10","user/2"],"values":[],"next":"user/2","more":false}`},
		{`{"prefix":"user/","limit":3}`, `{"keys":["user/1","user/10","user/2"],"values":[],"next":"user/2","more":false}`},
		{`{"prefix":"user/","after":"user/1"}`, `{"keys":["user/10","user/2"],"values":[],"next":"user/2","more":false}`},
		{`{"prefix":"user/","after":"a"}`, `{"keys":["user/1","user/10","user/2"],"values":[],"next":"user/2","more":false}`},
		{`{"prefix":"user/","after":"zz"}`, `{"keys":[],"values":[],"next":"","more":false}`},
		{`{"prefix":{"base64":"/w=="},"after":{"base64":"/w=="}}`, `{"keys":[{"base64":"//8="}],"values":[],"next":{"base64":"//8="},"more":false}`},
		{`{"pattern":"*[12]"}`, `{"keys":["user/1","user/2"],"values":[],"next":{"base64":"//8="},"more":false}`},
		{`{"pattern":"user/?"}`, `{"keys":["user/1","user/2"],"values":[],"next":"user/2","more":false}`},
		{`{"pattern":"user/?","prefix":"zz"}`, `{"keys":[],"values":[],"next":"zz","more":false}`},
		{`{"pattern":"*","prefix":"user/1","limit":1}`, `{"keys":["user/1"],"values":[],"next":"user/1","more":true}`},
	} {
		reply := mustCall(t, on, "SCAN", c.body)
		if got := reply.Value.String(); reply.Err != nil || got != c.want {
			t.Errorf("SCAN %s\n got %s %v\nwant %s", c.body, got, reply.Err, c.want)
		}
	}
}

func TestScanDoesNotShowWhatHasEnded(t *testing.T) {
	on := filled(t, "a", "b", "c")
	_ = mustCall(t, on, "EXPIRE", `{"key":"b","ttl":1000}`)
	if got := mustCall(t, on, "SIZE", `{"expiring":true}`).Value.String(); got != `{"keys":3,"expiring":1,"next":"c","more":false}` {
		t.Errorf("before: %s", got)
	}
	on.Now = on.Now.Add(time.Second)
	if got := mustCall(t, on, "SCAN", `{"values":true}`).Value.String(); got != `{"keys":["a","c"],"values":[0,2],"next":"c","more":false}` {
		t.Errorf("after: %s", got)
	}
	if got := mustCall(t, on, "SIZE", `{"expiring":true}`).Value.String(); got != `{"keys":2,"expiring":0,"next":"c","more":false}` {
		t.Errorf("after: %s", got)
	}
}

func TestPageOfLargeValuesEndsEarly(t *testing.T) {
	on := memory.New(kv.Service)
	value := values.Bytes(strings.Repeat("v", 1<<20-100))
	for i := range 12 {
		if _, err := quorate.Do(t.Context(), on, kv.Put{Key: kv.Key(fmt.Sprintf("%02d", i)), Value: value}); err != nil {
			t.Fatal(err)
		}
	}
	page, err := quorate.Ask(t.Context(), on, kv.Scan{Values: true})
	if err != nil || len(page.Keys) != 9 || len(page.Values) != 9 || page.Next != "08" || !page.More {
		t.Errorf("a page of %d keys, next %q, more %v: %v", len(page.Keys), page.Next, page.More, err)
	}
	page, err = quorate.Ask(t.Context(), on, kv.Scan{})
	if err != nil || len(page.Keys) != 12 || page.More {
		t.Errorf("without values, a page of %d keys, more %v: %v", len(page.Keys), page.More, err)
	}
}

func TestPageThatMatchesNothingGoesOn(t *testing.T) {
	on := memory.New(kv.Service)
	for i := range 10_001 {
		on.Data[fmt.Sprintf("kv\x00%05d", i)] = memory.Item{Value: "\x02"}
	}
	page, err := quorate.Ask(t.Context(), on, kv.Scan{Pattern: []byte("*x")})
	if err != nil || len(page.Keys) != 0 || page.Next != "09999" || !page.More {
		t.Fatalf("the first page has %d keys, next %q, more %v: %v", len(page.Keys), page.Next, page.More, err)
	}
	page, err = quorate.Ask(t.Context(), on, kv.Scan{Pattern: []byte("*x"), After: page.Next})
	if err != nil || len(page.Keys) != 0 || page.More {
		t.Errorf("the last page has %d keys, more %v: %v", len(page.Keys), page.More, err)
	}
}

// Keys come and go between the pages. One that is there all along is shown
// exactly once, one that is never there is never shown, and all come in order.
func TestScanShowsWhatIsThereAllAlongExactlyOnce(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("replay with -run %s -seed %d", t.Name(), *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	for range 200 {
		scanWhileKeysComeAndGo(t, r)
	}
}

func scanWhileKeysComeAndGo(t *testing.T, r *rand.Rand) {
	t.Helper()
	on := memory.New(kv.Service)
	random := func() kv.Key {
		return kv.Key([]string{"", "a", "a/", "\xff"}[r.IntN(4)] + fmt.Sprint(r.IntN(60)))
	}
	there := make(map[kv.Key]bool) // now
	put := func(key kv.Key) {
		if _, err := quorate.Do(t.Context(), on, kv.Put{Key: key, Value: values.Int(1)}); err != nil {
			t.Fatal(err)
		}
		there[key] = true
	}
	for range r.IntN(80) {
		put(random())
	}
	scan := kv.Scan{Limit: 1 + int64(r.IntN(7)), Prefix: kv.Key([]string{"", "a", "a/1", "\xff"}[r.IntN(4)])}
	if r.IntN(3) == 0 {
		scan.Pattern = []byte([]string{"*1*", "a*", "[^a]*", "a/?"}[r.IntN(4)])
	}
	shows := func(key kv.Key) bool {
		return strings.HasPrefix(string(key), string(scan.Prefix)) && (scan.Pattern == nil || kv.Match(scan.Pattern, []byte(key)))
	}
	always, ever := maps.Clone(there), maps.Clone(there)
	var shown []kv.Key
	for more := true; more; {
		page, err := quorate.Ask(t.Context(), on, scan)
		if err != nil {
			t.Fatal(err)
		}
		if int64(len(page.Keys)) > scan.Limit {
			t.Fatalf("a page of %d keys is over the limit of %d", len(page.Keys), scan.Limit)
		}
		shown = append(shown, page.Keys...)
		scan.After, more = page.Next, page.More
		for range r.IntN(6) {
			key := random()
			if r.IntN(2) == 0 {
				put(key)
				ever[key] = true
				continue
			}
			if _, err := quorate.Do(t.Context(), on, kv.Delete{Key: key}); err != nil {
				t.Fatal(err)
			}
			delete(there, key)
			delete(always, key)
		}
	}
	if !slices.IsSorted(shown) || len(slices.Compact(slices.Clone(shown))) != len(shown) {
		t.Fatalf("not in order, or twice: %q", shown)
	}
	for key := range always {
		if shows(key) && !slices.Contains(shown, key) {
			t.Fatalf("key %q was there all along and is not among %q", key, shown)
		}
	}
	for _, key := range shown {
		if !ever[key] || !shows(key) {
			t.Fatalf("key %q is shown and should not be", key)
		}
	}
}

func TestSizeCountsInParts(t *testing.T) {
	on := filled(t, "a", "b", "b1", "b2", "c")
	for _, c := range []struct{ body, want string }{
		{`{}`, `{"keys":5,"expiring":0,"next":"c","more":false}`},
		{`{"limit":2}`, `{"keys":2,"expiring":0,"next":"b","more":true}`},
		{`{"limit":3,"after":"b"}`, `{"keys":3,"expiring":0,"next":"c","more":false}`},
		{`{"prefix":"b"}`, `{"keys":3,"expiring":0,"next":"b2","more":false}`},
		{`{"prefix":"x"}`, `{"keys":0,"expiring":0,"next":"","more":false}`},
	} {
		if got := mustCall(t, on, "SIZE", c.body).Value.String(); got != c.want {
			t.Errorf("SIZE %s is %s, want %s", c.body, got, c.want)
		}
	}
}

func TestFlushRemovesKeysInParts(t *testing.T) {
	on := memory.New(kv.Service)
	for i := range 5_000 {
		on.Data[fmt.Sprintf("kv\x00%05d", i)] = memory.Item{Value: "\x02"}
	}
	on.Data["of another table"] = memory.Item{Value: "x"}
	var flush kv.Flush
	for i, want := range []kv.Flushed{
		{Deleted: 2_000, Next: "01999", More: true}, {Deleted: 2_000, Next: "03999", More: true}, {Deleted: 1_000, Next: "04999"},
	} {
		got, err := quorate.Do(t.Context(), on, flush)
		if err != nil || got != want {
			t.Fatalf("part %d is %v, %v, want %v", i, got, err, want)
		}
		flush.After = &got.Next
	}
	if len(on.Data) != 1 {
		t.Errorf("%d records are left", len(on.Data))
	}
}

func TestFlushOfLongKeysStaysBelowWhatACommandWrites(t *testing.T) {
	on := memory.New(kv.Service)
	const keys = 6000 // 24 MiB
	for i := range keys {
		on.Data[fmt.Sprintf("kv\x00%04d%s", i, strings.Repeat("k", 4000))] = memory.Item{Value: "\x02"}
	}
	flushed, err := quorate.Do(t.Context(), on, kv.Flush{})
	if err != nil || !flushed.More || flushed.Deleted < 1000 || flushed.Deleted >= keys {
		t.Errorf("%d keys were removed: %v", flushed.Deleted, err)
	}
}

func TestRandomChoosesEachKey(t *testing.T) {
	keys := []string{"a", "ab", "abc", "b\x00", "b\xff", "b\xff\xff", "\xff", "\xff\x00", strings.Repeat("long", 300)}
	on := memory.New(kv.Service)
	if _, err := quorate.Ask(t.Context(), on, kv.Random{Number: 1}); quorate.CodeOf(err) != quorate.NotFound {
		t.Errorf("without a key: %v", err)
	}
	on = filled(t, keys...)
	// What stands before and behind the table is not a key.
	on.Data["kv"], on.Data["kv\x01"] = memory.Item{Value: "x"}, memory.Item{Value: "x"}
	chosen := make(map[string]int)
	for n := range uint64(200) {
		key, err := quorate.Ask(t.Context(), on, kv.Random{Number: n})
		if err != nil {
			t.Fatal(err)
		}
		if chosen[string(key)]++; !slices.Contains(keys, string(key)) {
			t.Fatalf("number %d chooses %q", n, key)
		}
	}
	for _, key := range keys {
		if chosen[key] == 0 {
			t.Errorf("key %.20q is never chosen", key)
		}
	}
}

// A pattern that takes long for each key, over keys that are long, ends a page
// early; the scan goes on behind it.
func TestPageEndsBeforeAPatternTakesTooLong(t *testing.T) {
	on := memory.New(kv.Service)
	const count = 40
	for i := range count {
		key := kv.Key(strings.Repeat("a", 4000) + fmt.Sprintf("%02d", i))
		if _, err := quorate.Do(t.Context(), on, kv.Put{Key: key, Value: values.Int(1)}); err != nil {
			t.Fatal(err)
		}
	}
	pattern := []byte("*" + strings.Repeat("a", 2000) + "b")
	scan, pages := kv.Scan{Pattern: pattern}, 0
	for more := true; more; pages++ {
		page, err := quorate.Ask(t.Context(), on, scan)
		if err != nil || len(page.Keys) > 0 {
			t.Fatalf("%d keys match, %v", len(page.Keys), err)
		}
		scan.After, more = page.Next, page.More
	}
	if pages < 4 || pages > 10 {
		t.Errorf("%d keys took %d pages", count, pages)
	}
}
