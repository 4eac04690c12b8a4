package resp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/quorate/quorate/internal/resp"
)

// mixed is calls of all forms, larger and smaller than a chunk, and what is
// passed over.
func mixed() string {
	large := strings.Repeat("v", 40<<10)
	var keys [][]byte
	for i := range 3000 {
		keys = append(keys, fmt.Append(nil, i))
	}
	packet := []byte("PING\r\n\r\n*0\r\n  set 'a b' \"\\x00\\r\\n\"\n*-1\r\n")
	packet = resp.AppendCall(packet, "SET", []byte("a"), nil)
	packet = resp.AppendCall(packet, "SET", []byte("b"), []byte(large))
	packet = resp.AppendCall(packet, "MGET", keys...)
	packet = fmt.Appendf(packet, "ECHO %s\r\n", large)
	packet = resp.AppendCall(packet, "")
	return string(packet)
}

func TestCallsAreTheSameHoweverTheyAreCut(t *testing.T) {
	packet := mixed()
	want := describe(readCalls(resp.NewReader(strings.NewReader(packet), after())))
	for _, line := range []string{`"PING"`, `"set" "a b" "\x00\r\n"`, `"SET" "a" ""`, `"MGET" "0" "1"`, `"2999"`} {
		if !strings.Contains(want, line) {
			t.Fatalf("read whole, it holds no %s", line)
		}
	}
	if n := strings.Count(want, "\n"); n != 7 || !strings.HasSuffix(want, "\nEOF") {
		t.Fatalf("read whole, it is %d calls", n)
	}
	check := func(how string, source io.Reader) {
		t.Helper()
		if got := describe(readCalls(resp.NewReader(source, after()))); got != want {
			t.Fatalf("%s: other calls than read whole", how)
		}
	}
	check("dribbled", dribble(packet))
	check("in halves", iotest.HalfReader(strings.NewReader(packet)))
	check("with its end", iotest.DataErrReader(strings.NewReader(packet)))
	for i := 0; i < len(packet); i += 1 + i/60 { // each place at first, then fewer
		check(fmt.Sprint("cut at ", i), cut(packet, i))
	}
}

// TestShortCallsAreTheSameCutAtAnyTwoPlaces cuts in all ways there are.
func TestShortCallsAreTheSameCutAtAnyTwoPlaces(t *testing.T) {
	packet := "*2\r\n$4\r\nECHO\r\n$12\r\nabcdefghijkl\r\nPING \"a b\"\r\n*0\r\n\n*1\r\n$4\r\nPING\r\nx y\n"
	want := describe(readCalls(resp.NewReader(strings.NewReader(packet), after())))
	for i := range packet {
		for j := i; j < len(packet); j++ {
			if got := describe(readCalls(resp.NewReader(cut(packet, i, j), after()))); got != want {
				t.Fatalf("cut at %d and %d: %s\nwant %s", i, j, got, want)
			}
		}
	}
}

func TestReadReturnsAllCallsThatHaveArrived(t *testing.T) {
	packet := strings.Repeat("*1\r\n$4\r\nPING\r\n", 3) + "*1\r\n$4\r\nPI"
	r := resp.NewReader(cut(packet+"NG\r\n", len(packet)), after())
	for _, want := range []int{3, 1} {
		if calls, err := r.Read(); err != nil || len(calls) != want {
			t.Fatalf("%d calls, %v, want %d", len(calls), err, want)
		}
	}
}

func TestPipelineHasNoMoreCallsThanItMay(t *testing.T) {
	limits := after()
	limits.Calls = 2
	r := resp.NewReader(strings.NewReader(strings.Repeat("PING\r\n", 5)), limits)
	for _, want := range []int{2, 2, 1} {
		if calls, err := r.Read(); err != nil || len(calls) != want {
			t.Fatalf("%d calls, %v, want %d", len(calls), err, want)
		}
	}
	if _, err := r.Read(); err != io.EOF {
		t.Fatalf("%v, want the end", err)
	}
}

// TestLimitsChangeBehindTheCallThatChangesThem sends a password and, in the
// same packet, what is allowed only behind it.
func TestLimitsChangeBehindTheCallThatChangesThem(t *testing.T) {
	packet := resp.AppendCall(nil, "AUTH", []byte("secret"))
	packet = resp.AppendCall(packet, "SET", []byte("a"), make([]byte, 20<<10))
	r := resp.NewReader(bytes.NewReader(packet), resp.LimitsBefore())
	if calls, err := r.Read(); err != nil || len(calls) != 1 {
		t.Fatalf("%d calls, %v, want AUTH alone", len(calls), err)
	}
	r.SetLimits(after())
	if calls, err := r.Read(); err != nil || len(calls) != 1 || len(calls[0][2]) != 20<<10 {
		t.Fatalf("%d calls, %v, want SET", len(calls), err)
	}
}

// TestCallsOutliveTheNextRead keeps calls, writes to them, and reads on.
func TestCallsOutliveTheNextRead(t *testing.T) {
	packet := strings.Repeat("*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n", 2) + strings.Repeat("ECHO xyz\r\n", 2)
	r := resp.NewReader(cut(packet, 2*len("*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\n")), after())
	first, err := r.Read()
	if err != nil {
		t.Fatal(err)
	}
	// An argument that grows must not grow into the next one.
	first[0][0] = append(first[0][0], "grown"...)
	if _, err := readCalls(r); err != io.EOF {
		t.Fatal(err)
	}
	if got := describe(first, nil); !strings.HasPrefix(got, "\"ECHOgrown\" \"abc\" \n\"ECHO\" \"abc\" \n") {
		t.Fatalf("the calls became %s", got)
	}
}

func TestClaimsBeyondTheLimitsAreRefused(t *testing.T) {
	bulk := func(n int) string { return fmt.Sprintf("$%d\r\n%s\r\n", n, strings.Repeat("a", n)) }
	for _, tt := range []struct {
		name, packet, want string
		limits             resp.Limits
	}{
		{"most arguments", "*1024\r\n" + strings.Repeat(bulk(1), 1024), "EOF", after()},
		{"an argument too many", "*1025\r\n$4\r\nECHO\r\n", "Protocol error: invalid multibulk length", after()},
		{"many for a name that may", "*65536\r\n$4\r\nmget\r\n" + strings.Repeat(bulk(1), 65535), "EOF", after()},
		{"too many for it", "*65537\r\n", "Protocol error: invalid multibulk length", after()},
		{"many, and no name", "*2147483647\r\n", "Protocol error: invalid multibulk length", after()},
		{"many for a long name", "*65536\r\n" + bulk(100_000), "Protocol error: invalid multibulk length", after()},
		{"many without a function", "*1025\r\n", "Protocol error: invalid multibulk length", resp.LimitsAfter(nil)},
		{"most bytes", "*1\r\n" + bulk(1<<20), "EOF", after()},
		{"a byte too many", "*1\r\n$1048577\r\n", "Protocol error: invalid bulk length", after()},
		{"a call too many bytes", "*9\r\n" + strings.Repeat(bulk(1<<20), 7) + "$1048576\r\n", "Protocol error: too big call", after()},
		{"eleven before authentication", "*11\r\n", "Protocol error: unauthenticated multibulk length", resp.LimitsBefore()},
		{"a large one before authentication", "*1\r\n$16385\r\n", "Protocol error: unauthenticated bulk length", resp.LimitsBefore()},
		{"the largest before authentication", "*10\r\n" + strings.Repeat(bulk(16384), 10), "EOF", resp.LimitsBefore()},
		{"eleven on a line", strings.Repeat("a ", 11) + "\n", "Protocol error: unauthenticated multibulk length", resp.LimitsBefore()},
		{"a large one on a line", strings.Repeat("a", 16385) + "\n", "Protocol error: unauthenticated bulk length", resp.LimitsBefore()},
		{"too many on a line", strings.Repeat("a ", 1025) + "\n", "Protocol error: invalid multibulk length", after()},
		{"many on a line", "mget" + strings.Repeat(" a", 2000) + "\n", "EOF", after()},
		{"a byte 0 in a count", "*1\x00\r\n", "Protocol error: invalid multibulk length", after()},
		{"a long line", strings.Repeat("a", 64<<10) + "\r", "Protocol error: too big inline request", after()},
		{"the longest line", strings.Repeat("a", 64<<10) + "\n", "EOF", after()},
		{"a long count", "*" + strings.Repeat("1", 64<<10) + "\r\n", "Protocol error: too big mbulk count string", after()},
	} {
		for how, source := range map[string]io.Reader{"whole": strings.NewReader(tt.packet), "dribbled": dribble(tt.packet)} {
			if _, err := readCalls(resp.NewReader(source, tt.limits)); err.Error() != tt.want {
				t.Errorf("%s, %s: %v, want %s", tt.name, how, err, tt.want)
			}
		}
	}
}

func TestHTTPIsRefusedWithoutAnAnswer(t *testing.T) {
	for _, line := range []string{
		"POST / HTTP/1.1", "POST", "post /x", "GET / HTTP/1.1", "GET /", "get /a", "GET  \t/a", "OPTIONS * HTTP/1.1", "OPTIONS", "HEAD /",
		"HEAD", "PUT /a HTTP/1.1", "PUT /a", "CONNECT a:1", "Host: a", "HOST:a", "host:", "  Host: a", "DELETE /a HTTP/1.1",
		"PATCH a HTTP/2", "BREW \"/ HTTP/1.1", "\x16\x03 HTTP/", "GET /" + strings.Repeat("a", 70<<10), "POST " + strings.Repeat("a", 70<<10),
	} {
		for _, before := range []string{"", "\r\n", "*1\r\n$4\r\nPING\r\n"} {
			packet := before + line + "\r\nX: y\r\n"
			for how, source := range map[string]io.Reader{"whole": strings.NewReader(packet), "dribbled": dribble(packet)} {
				r := resp.NewReader(source, after())
				if calls, err := readCalls(r); !errors.Is(err, resp.ErrForeign) {
					t.Errorf("%.40q behind %q, %s: %s", line, before, how, describe(calls, err))
				}
				if _, err := r.Read(); !errors.Is(err, resp.ErrForeign) {
					t.Errorf("%.40q behind %q, %s: it goes on with %v", line, before, how, err)
				}
			}
		}
	}
}

func TestCallsThatLookAlikeAreNotHTTP(t *testing.T) {
	for _, packet := range []string{
		"GET a\r\n", "GET\r\n", "GET a /\r\n", "PUT a /\r\n", "GETEX /a\r\n", "POSTS\r\n", "HOST\r\n", "ECHO Host:\r\n", "ECHO POST\r\n", "HTTP/1.1\r\n", "ECHO HTTP\r\n",
		"*2\r\n$3\r\nGET\r\n$2\r\n/a\r\n", "*1\r\n$4\r\nPOST\r\n", "*2\r\n$4\r\nECHO\r\n$9\r\na HTTP/1.\r\n", "\"\"\r\n", "OPTIONSX\r\n",
	} {
		if calls, err := readCalls(resp.NewReader(strings.NewReader(packet), after())); err != io.EOF || len(calls) != 1 {
			t.Errorf("%q: %s", packet, describe(calls, err))
		}
	}
}

func TestEndWithinACallIsUnexpected(t *testing.T) {
	whole := "*2\r\n$4\r\nECHO\r\n$1\r\na\r\n"
	for i := 1; i < len(whole); i++ {
		if _, err := readCalls(resp.NewReader(strings.NewReader(whole[:i]), after())); err != io.ErrUnexpectedEOF {
			t.Errorf("cut off behind %q: %v", whole[:i], err)
		}
	}
	if _, err := readCalls(resp.NewReader(strings.NewReader(whole), after())); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

// TestReadGoesOnBehindAnErrorOfTheSource is a deadline that passes in the
// middle of a call.
func TestReadGoesOnBehindAnErrorOfTheSource(t *testing.T) {
	source := io.MultiReader(strings.NewReader("*1\r\n$4\r\nPI"), iotest.ErrReader(os.ErrDeadlineExceeded))
	late := strings.NewReader("NG\r\n")
	r := resp.NewReader(readerFunc(func(p []byte) (int, error) {
		if n, err := source.Read(p); err == nil {
			return n, nil
		}
		if late.Len() == 4 {
			n, _ := late.Read(p[:1])
			return n, os.ErrDeadlineExceeded // with a byte, which must not be lost
		}
		return late.Read(p)
	}), after())
	if _, err := r.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%v, want the deadline", err)
	}
	if calls, err := r.Read(); err != nil || string(calls[0][0]) != "PING" {
		t.Fatalf("%s, want PING", describe(calls, err))
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestSourceThatReturnsNothingIsAnError(t *testing.T) {
	r := resp.NewReader(readerFunc(func([]byte) (int, error) { return 0, nil }), after())
	if _, err := r.Read(); err != io.ErrNoProgress {
		t.Fatalf("%v, want no progress", err)
	}
}

// claims are packets that say much and hold little, and packets that are cut
// off, or refused, when much has come.
func claims() map[string]string {
	empty := "$0\r\n\r\n"
	return map[string]string{
		"nothing":                 "",
		"a large argument":        "*2\r\n$1048576\r\nabc",
		"half of it":              "*2\r\n$1048576\r\n" + strings.Repeat("a", 512<<10),
		"many arguments":          "*65536\r\n" + empty,
		"many empty ones":         "*65536\r\n$4\r\nMGET\r\n" + strings.Repeat(empty, 65534),
		"512 MiB":                 "*1\r\n$536870912\r\n0123456789",
		"all there is":            "*1\r\n$9223372036854775807\r\nx",
		"large arguments":         "*1024\r\n" + strings.Repeat("$1048576\r\n"+strings.Repeat("a", 1<<20)+"\r\n", 7),
		"a line without an end":   strings.Repeat("a", 64<<10),
		"a longer one":            strings.Repeat("a", 100<<10),
		"a line of quotes":        strings.Repeat("'' ", 21<<10) + "'\n",
		"a line of words":         strings.Repeat("a ", 32<<10) + "\n",
		"HTTP of some length":     "GET /" + strings.Repeat("a", 100<<10),
		"a count without an end":  "*" + strings.Repeat("1", 64<<10),
		"a length without an end": "*1\r\n$" + strings.Repeat("1", 64<<10),
		"empty calls":             strings.Repeat("*0\r\n", 256<<10),
		"empty lines":             strings.Repeat("\r\n", 512<<10),
	}
}

// TestClaimsAllocateWhatHasArrived bounds all that is allocated for packets
// without a whole call, at once or a little at a time, by twice what arrived
// and 64 KiB.
func TestClaimsAllocateWhatHasArrived(t *testing.T) {
	for name, packet := range claims() {
		most := uint64(2*len(packet) + 64<<10)
		if n := allocates(func() {
			if calls, err := readCalls(resp.NewReader(strings.NewReader(packet), after())); len(calls) > 0 {
				t.Fatalf("%s: %d calls, %v", name, len(calls), err)
			}
		}); n > most {
			t.Errorf("%s: %d bytes made it allocate %d, want at most %d", name, len(packet), n, most)
		}
		r := resp.NewReader(dribble(packet), after())
		readCalls(r)
		if n := uint64(resp.Held(r)); n > most {
			t.Errorf("%s: %d bytes make it hold %d, want at most %d", name, len(packet), n, most)
		}
	}
}

// TestWholeCallsAllocateWhatTheyHold bounds the same beside the result.
func TestWholeCallsAllocateWhatTheyHold(t *testing.T) {
	for name, packet := range map[string]string{
		"mixed":  mixed(),
		"inline": strings.Repeat("A\n", 8<<10),
		"large":  string(sets(1, 1<<20)),
		"many":   "*65536\r\n$4\r\nMGET\r\n" + strings.Repeat("$0\r\n\r\n", 65535),
	} {
		held := 0
		n := allocates(func() {
			calls, err := readCalls(resp.NewReader(strings.NewReader(packet), after()))
			if err != io.EOF {
				t.Fatal(name, err)
			}
			held = cap(calls) * 24 * 6 // appending them here copies them a few times
			for _, call := range calls {
				held += 24
				for _, argument := range call {
					held += 24 + len(argument)
				}
			}
		})
		// Go rounds up what is allocated, by a quarter at most.
		if most := uint64(2*len(packet) + 64<<10 + held + held/4); n > most {
			t.Errorf("%s: %d bytes made it allocate %d, want at most %d", name, len(packet), n, most)
		}
	}
}

// TestEachByteIsLookedAtOnce counts what the first look goes over when bytes
// come one at a time. Looking from the begin each time would be billions.
func TestEachByteIsLookedAtOnce(t *testing.T) {
	packets := claims()
	packets["mixed"] = mixed()
	packets["the longest line"] = strings.Repeat("a", 64<<10) + "\n"
	for name, packet := range packets {
		r := resp.NewReader(dribble(packet), after())
		readCalls(r)
		if n := resp.Looked(r); n > len(packet) {
			t.Errorf("%s: looked at %d bytes of %d", name, n, len(packet))
		}
	}
}

// TestManySmallPipelinesCostNoMoreMemory reads for long on one connection.
func TestManySmallPipelinesCostNoMoreMemory(t *testing.T) {
	packet := strings.Repeat(mixed(), 20)
	r := resp.NewReader(strings.NewReader(packet), after())
	for {
		if _, err := r.Read(); err != nil {
			break
		}
		// The longest of its calls is 40 KiB, and two chunks may stand around it.
		if n := resp.Held(r); n > 128<<10 {
			t.Fatalf("it holds %d bytes between two pipelines", n)
		}
	}
}

func TestNumbersAreReadAsRedisDoes(t *testing.T) {
	good := map[string]int64{"0": 0, "7": 7, "-7": -7, "10": 10, "9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63}
	for text, want := range good {
		if n, ok := resp.ParseNumber([]byte(text)); !ok || n != want {
			t.Errorf("%s is %d, %v", text, n, ok)
		}
	}
	for _, text := range []string{"", "-", "+1", "00", "01", "-0", "-01", "1a", " 1", "9223372036854775808", "-9223372036854775809",
		"18446744073709551616", "99999999999999999999", "-99999999999999999999", "100000000000000000000"} {
		if n, ok := resp.ParseNumber([]byte(text)); ok {
			t.Errorf("%q is %d, want none", text, n)
		}
	}
}

// FuzzReader reads arbitrary bytes whole and in pieces. Both must give the
// same, in bounded memory, and what is read must read the same when it is sent
// again.
func FuzzReader(f *testing.F) {
	for _, line := range mustReadLines(f, hostileFile) {
		if _, quoted, ok := strings.Cut(line, " "); ok && !strings.HasPrefix(line, "\t") {
			if packet := mustUnquote(f, quoted); len(packet) < 1000 {
				f.Add([]byte(packet), uint16(len(packet)/2), false)
			}
		}
	}
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n"), uint16(3), true)
	f.Fuzz(func(t *testing.T, data []byte, place uint16, before bool) {
		limits := after()
		if before {
			limits = resp.LimitsBefore()
		}
		r := resp.NewReader(bytes.NewReader(data), limits)
		calls, err := readCalls(r)
		if n := resp.Held(r); n > 2*len(data)+64<<10 {
			t.Fatalf("%d bytes make it hold %d", len(data), n)
		}
		sources := []io.Reader{cut(string(data), min(int(place), len(data)))}
		if len(data) < 50 {
			sources = append(sources, dribble(string(data)))
		}
		for i, source := range sources {
			if got, err2 := readCalls(resp.NewReader(source, limits)); err2.Error() != err.Error() || !same(got, calls) {
				t.Fatalf("source %d, cut at %d: %s\nwant %s", i, place, describe(got, err2), describe(calls, err))
			}
		}
		var again []byte
		for _, call := range calls {
			again = resp.AppendCall(again, string(call[0]), call[1:]...)
		}
		back, err := readCalls(resp.NewReader(bytes.NewReader(again), limits))
		if err != io.EOF || !same(back, calls) {
			t.Fatalf("sent again: %s\nwant %s", describe(back, err), describe(calls, nil))
		}
	})
}

// same says that calls hold the same bytes.
func same(a, b []resp.Call) bool {
	return slices.EqualFunc(a, b, func(a, b resp.Call) bool { return slices.EqualFunc(a, b, bytes.Equal) })
}
