package cli

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/load"
	"github.com/quorate/quorate/kv"
)

func TestRepliesAreReadToTheirEndAndNoFurther(t *testing.T) {
	large := strings.Repeat("x", 3*lineBytes)
	for text, want := range map[string]string{
		"+OK\r\n":                              "",
		":17\r\n":                              "",
		"$-1\r\n":                              "",
		"$0\r\n\r\n":                           "",
		"$3\r\na\nb\r\n":                       "",
		"$12288\r\n" + large + "\r\n":          "",
		"*-1\r\n":                              "",
		"*0\r\n":                               "",
		"*3\r\n:1\r\n*1\r\n$-1\r\n$1\r\na\r\n": "",
		"-ERR no such thing\r\n":               "failed not_applied: ERR no such thing",
		"-WRONGTYPE no\r\n":                    "failed not_applied: WRONGTYPE no",
		"-TRYAGAIN no leader\r\n":              "unavailable not_applied: TRYAGAIN no leader",
		"-STALE 3s old\r\n":                    "too_old not_applied: STALE 3s old",
		"-UNKNOWN lost\r\n":                    "unavailable unknown: UNKNOWN lost",
	} {
		r := bufio.NewReaderSize(strings.NewReader(text+"+NEXT\r\n"), lineBytes)
		if got := described(readReply(r)); got != want {
			t.Errorf("%.40q is %q, want %q", text, got, want)
		}
		if rest, err := io.ReadAll(r); err != nil || string(rest) != "+NEXT\r\n" {
			t.Errorf("behind %.40q is %q: %v", text, rest, err)
		}
	}
}

func described(err error) string {
	if e, ok := errors.AsType[*quorate.Error](err); ok {
		return string(e.Code) + " " + e.Outcome.String() + ": " + e.Message
	} else if err != nil {
		return err.Error()
	}
	return ""
}

func TestWhatIsNoReplyIsNotTakenForOne(t *testing.T) {
	for text, want := range map[string]error{
		"":                               io.ErrUnexpectedEOF,
		"+OK":                            io.ErrUnexpectedEOF,
		"+OK\n":                          errForeignReply,
		"\r\n":                           errForeignReply,
		"HTTP/1.1 200 OK\r\n":            errForeignReply,
		"*1\r\n%1\r\n":                   errForeignReply,
		"*x\r\n":                         errForeignReply,
		"*2\r\n:1\r\n":                   io.ErrUnexpectedEOF,
		strings.Repeat("*1\r\n", 40):     errForeignReply,
		"$x\r\n":                         errForeignReply,
		"$-2\r\n":                        errForeignReply,
		"$999999999999\r\n":              errForeignReply,
		"$4\r\nabc\r\n\r\n":              errForeignReply,
		"$4\r\nab":                       io.EOF,
		strings.Repeat("x", lineBytes+1): errForeignReply,
	} {
		if err := readReply(bufio.NewReaderSize(strings.NewReader(text), lineBytes)); !errors.Is(err, want) {
			t.Errorf("%.40q is %v, want %v", text, err, want)
		}
	}
}

func TestAnswersOverHTTPAreReadToTheirEndAndNoFurther(t *testing.T) {
	refused := `{"error":"full","code":"overloaded","outcome":"not_applied"}`
	for _, c := range []struct {
		text   string
		writes bool
		want   string
		closes bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", true, "", false},
		{"HTTP/1.1 200 OK\r\ncontent-length:0\r\nConnection: close\r\n\r\n", true, "", true},
		{"HTTP/1.1 503 x\r\nContent-Length: 60\r\n\r\n" + refused, true, "overloaded not_applied: full", false},
		{"HTTP/1.1 503 x\r\nContent-Length: 54\r\n\r\n" + strings.Replace(refused, "not_applied", "maybe", 1), true, "overloaded unknown: full", false},
		{"HTTP/1.1 404 x\r\nContent-Length: 20\r\n\r\n{\"code\":\"not_found\"}", false, "", false},
		{"HTTP/1.1 404 x\r\nContent-Length: 20\r\n\r\n{\"code\":\"not_found\"}", true, "not_found unknown: ", false},
		{"HTTP/1.1 404 x\r\nContent-Length: 4\r\n\r\nwhat", false, "status 404: what", false},
	} {
		r := bufio.NewReaderSize(strings.NewReader(c.text+"HTTP/1.1 next"), lineBytes)
		var answer httpAnswer
		err := answer.read(r)
		if err == nil {
			err = answer.failure(c.writes)
		}
		if got := described(err); got != c.want || answer.closes != c.closes {
			t.Errorf("%q is %q, closes %v, want %q", c.text, got, answer.closes, c.want)
		}
		if rest, err := io.ReadAll(r); err != nil || string(rest) != "HTTP/1.1 next" {
			t.Errorf("behind %q is %q: %v", c.text, rest, err)
		}
	}
}

func TestWhatIsNoAnswerOverHTTPIsNotTakenForOne(t *testing.T) {
	for text, want := range map[string]error{
		"":                        io.ErrUnexpectedEOF,
		"HTTP/1.1 200 OK\r\n":     io.ErrUnexpectedEOF,
		"+OK\r\n":                 errForeignAnswer,
		"HTTP/1.1 abc OK\r\n\r\n": errForeignAnswer,
		"HTTP/1.1 200 OK\r\n\r\n": errForeignAnswer,
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n":                  errForeignAnswer,
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n":            errForeignAnswer,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": errForeignAnswer,
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", lineBytes):        errForeignAnswer,
		"HTTP/1.1 500 OK\r\nContent-Length: 4\r\n\r\nab":                 io.ErrUnexpectedEOF,
	} {
		var answer httpAnswer
		if err := answer.read(bufio.NewReaderSize(strings.NewReader(text), lineBytes)); !errors.Is(err, want) {
			t.Errorf("%.40q is %v, want %v", text, err, want)
		}
	}
}

// mustMix is a mix of the usual tasks of kv.
func mustMix(t *testing.T, valueSize uint64, words ...string) *bench {
	t.Helper()
	p := newProgram(kv.Service, "quorate", nil, nil, nil)
	p.rootCommand()
	b := &bench{program: p, nodes: &remote{}, keySpace: 1000, seed: 5, valueSize: valueSize}
	var err error
	if b.mix, err = parseMix(words, b.usual()); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMixIsDrawnInProportion(t *testing.T) {
	m := mustMix(t, 8, "put=5", " get=3", "inc=2").mix
	c := &chooser{random: rand.New(rand.NewPCG(1, 1)), mix: m, total: m.total(), keySpace: 10}
	counts := make(map[string]int)
	for range 100_000 {
		what, n := c.next()
		counts[what.label]++
		prefix := valuePrefix
		if what.label == "inc" {
			prefix = counterPrefix
		}
		if key := what.words[0].with(n); string(key) != fmt.Sprint(prefix, n) || n > 9 {
			t.Fatalf("%s calls for %s", what.label, key)
		}
	}
	for what, want := range map[string]int{"put": 50_000, "get": 30_000, "inc": 20_000} {
		if got := counts[what]; got < want-1000 || got > want+1000 {
			t.Errorf("%s: %d of 100,000, want about %d", what, got, want)
		}
	}
}

func TestSameSeedChoosesTheSameCalls(t *testing.T) {
	b := mustMix(t, 8, "put", "inc")
	draw := func(b *bench, caller int) string {
		var all []byte
		c := b.chooser(caller)
		for range 20 {
			what, n := c.next()
			all = append(what.words[0].append(all, n), ' ')
		}
		return string(all)
	}
	if a, b := draw(b, 1), draw(b, 1); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	if a, b := draw(b, 1), draw(b, 2); a == b {
		t.Errorf("two clients choose the same: %s", a)
	}
}

func TestCallsAreMadeWithoutAllocations(t *testing.T) {
	b := mustMix(t, 100, "put", "get", "inc")
	resp := &respWorker{maker: &respMaker{bench: b}, chooser: b.chooser(1)}
	http := &httpWorker{maker: &httpMaker{bench: b}, chooser: b.chooser(1), line: &line{addrs: []string{"a:1"}}}
	for name, call := range map[string]func(){
		"resp": func() {
			resp.out, resp.sent = resp.out[:0], resp.sent[:0]
			resp.append()
		},
		"http": func() { http.request(http.chooser.next()) },
	} {
		for range 100 { // until the buffers are large enough
			call()
		}
		if n := testing.AllocsPerRun(100, call); n > 0 {
			t.Errorf("%s: %v allocations for a call", name, n)
		}
	}
}

func TestProgressIsOneLineThatGoesAway(t *testing.T) {
	var out bytes.Buffer
	p := &progress{out: &out}
	p.show(load.Sample{Warming: true, Left: 11 * time.Second})
	p.show(load.Sample{Left: 9600 * time.Millisecond, Rate: 12_345.6, P99: 4321 * time.Microsecond, Failed: 3})
	p.show(load.Sample{Left: time.Second, Rate: 1, P99: time.Second})
	p.clear()
	want := "\rwarming up, 11s left" +
		"\r12,345/s  p99 4.32 ms  errors 3  10s left" +
		"\r1/s  p99 1000 ms  errors 0  1s left      " +
		"\r" + strings.Repeat(" ", 35) + "\r"
	if got := out.String(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1_234_567: "1,234,567", -100: "-100", -1000: "-1,000"} {
		if got := grouped(n); got != want {
			t.Errorf("%d is %s", n, got)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0.000 ms", time.Microsecond: "0.001 ms", 999 * time.Microsecond: "0.999 ms", time.Millisecond: "1.00 ms",
		12_345 * time.Microsecond: "12.3 ms", 123_456 * time.Microsecond: "123 ms", time.Minute: "60000 ms",
	} {
		if got := milliseconds3(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}
