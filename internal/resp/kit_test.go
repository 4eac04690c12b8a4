package resp_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/quorate/quorate/internal/resp"
)

// many is the names that may have many arguments, in tests.
func many(name []byte) bool { return strings.EqualFold(string(name), "MGET") }

// after is the limits of most tests.
func after() resp.Limits { return resp.LimitsAfter(many) }

// readCalls reads to the end, and returns all calls and what ended it.
func readCalls(r *resp.Reader) (calls []resp.Call, err error) {
	for {
		pipeline, err := r.Read()
		if err != nil {
			return calls, err
		}
		calls = append(calls, pipeline...)
	}
}

// readReplies reads to the end, and returns all replies and what ended it.
func readReplies(r *resp.ReplyReader) (replies []resp.Value, err error) {
	for {
		v, err := r.Read()
		if err != nil {
			return replies, err
		}
		replies = append(replies, v)
	}
}

// describe is calls and what ended them, to compare and to print.
func describe(calls []resp.Call, err error) string {
	var s strings.Builder
	for _, call := range calls {
		for _, argument := range call {
			fmt.Fprintf(&s, "%q ", argument)
		}
		s.WriteString("\n")
	}
	fmt.Fprintf(&s, "%v", err)
	return s.String()
}

// cut is a source that delivers data in pieces that end at the places.
func cut(data string, places ...int) io.Reader {
	var readers []io.Reader
	begin := 0
	for _, end := range append(places, len(data)) {
		readers = append(readers, strings.NewReader(data[begin:end]))
		begin = end
	}
	return io.MultiReader(readers...)
}

// dribble delivers a byte at a time.
func dribble(data string) io.Reader { return iotest.OneByteReader(strings.NewReader(data)) }

// allocates is the least that a few runs of f allocate; another goroutine may
// allocate meanwhile.
func allocates(f func()) (least uint64) {
	for i := range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; i == 0 || n < least {
			least = n
		}
	}
	return least
}

// mustUnquote reads packets as test files have them: quoted strings, each with
// a number of times, as in "*1\r\n" + "a" * 70000.
func mustUnquote(t testing.TB, text string) string {
	t.Helper()
	var packet strings.Builder
	for text != "" {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		s, _ := strconv.Unquote(quoted)
		text = strings.TrimPrefix(text, quoted)
		times := 1
		if rest, ok := strings.CutPrefix(text, " * "); ok {
			number, _, _ := strings.Cut(rest, " ")
			if times, err = strconv.Atoi(number); err != nil {
				t.Fatalf("%q: %v", rest, err)
			}
			text = strings.TrimPrefix(rest, number)
		}
		text = strings.TrimPrefix(text, " + ")
		packet.WriteString(strings.Repeat(s, times))
	}
	return packet.String()
}

// mustReadLines is the lines of a file that are not empty and no comments.
func mustReadLines(t testing.TB, name string) (lines []string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	return lines
}

// serve answers a client as a server does whose only command is ECHO. Errors
// of commands are all the same: they are not what is tested.
func serve(source io.Reader, limits resp.Limits) string {
	var out []byte
	r := resp.NewReader(source, limits)
	for {
		calls, err := r.Read()
		for _, call := range calls {
			if len(call) == 2 && strings.EqualFold(string(call[0]), "ECHO") && !limits.Unauthenticated {
				out = resp.AppendBulk(out, call[1])
				continue
			}
			out = resp.AppendError(out, "ERR", "other")
		}
		if err == nil {
			continue
		}
		if wrong, ok := errors.AsType[*resp.ProtocolError](err); ok {
			out = resp.AppendError(out, "ERR", wrong.Error())
		}
		return string(out)
	}
}
