package resp_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/quorate/quorate/internal/resp"
)

// values is what testdata/values.txt names.
var values = map[string]resp.Value{
	"null":                              {},
	"null array":                        resp.NullArrayValue(),
	"simple string":                     resp.SimpleValue("OK"),
	"simple string with line breaks":    resp.SimpleValue("a\r\nb"),
	"error":                             resp.ErrorValue("WRONGTYPE", "Operation against a key"),
	"error with line breaks":            resp.ErrorValue("ERR", "a\r\nb"),
	"integer":                           resp.IntValue(5),
	"least integer":                     resp.IntValue(math.MinInt64),
	"bulk string":                       resp.BulkValue("hits"),
	"bulk string of any bytes":          resp.BulkValue("\x00\r\n\xff$"),
	"empty bulk string":                 resp.BulkValue(""),
	"array":                             resp.ArrayValue(resp.IntValue(1), resp.BulkValue("a"), resp.ArrayValue()),
	"array of nulls":                    resp.ArrayValue(resp.Value{}, resp.NullArrayValue()),
	"map":                               resp.MapValue(resp.SimpleValue("first"), resp.IntValue(1), resp.SimpleValue("second")),
	"empty map":                         resp.MapValue(),
	"set":                               resp.SetValue(resp.IntValue(1), resp.IntValue(2)),
	"push":                              resp.PushValue(resp.SimpleValue("message"), resp.BulkValue("hi")),
	"double":                            resp.DoubleValue(0.5),
	"double of 17 digits":               resp.DoubleValue(0.1),
	"whole double":                      resp.DoubleValue(3),
	"large double":                      resp.DoubleValue(1e17),
	"largest double":                    resp.DoubleValue(math.MaxFloat64),
	"small double":                      resp.DoubleValue(-math.SmallestNonzeroFloat64),
	"double below a ten thousandth":     resp.DoubleValue(1e-5),
	"negative zero":                     resp.DoubleValue(math.Copysign(0, -1)),
	"infinity":                          resp.DoubleValue(math.Inf(1)),
	"negative infinity":                 resp.DoubleValue(math.Inf(-1)),
	"not a number":                      resp.DoubleValue(math.NaN()),
	"true":                              resp.BoolValue(true),
	"false":                             resp.BoolValue(false),
	"big number":                        resp.BigNumberValue("12345678901234567890"),
	"verbatim string":                   resp.VerbatimValue("txt", "a\r\nb:"),
	"verbatim string of a short format": resp.VerbatimValue("m", "a"),
	"blob error":                        resp.BlobErrorValue("ERR", "a\r\nb"),
	"all in each other": resp.ArrayValue(resp.MapValue(resp.SetValue(resp.BoolValue(true)),
		resp.ArrayValue(resp.DoubleValue(1)))),
}

// lossy is the values that RESP3 does not give back as they were.
var lossy = map[string]bool{"null array": true, "array of nulls": true, "simple string with line breaks": true, "error with line breaks": true}

// readOne reads all of packet as one reply.
func readOne(packet string) (resp.Value, error) {
	replies, err := readReplies(resp.NewReplyReader(strings.NewReader(packet), resp.DefaultReplyLimits()))
	if err == io.EOF && len(replies) == 1 {
		return replies[0], nil
	}
	return resp.Value{}, fmt.Errorf("%d replies and %w", len(replies), err)
}

func TestValuesHaveTheBytesThatAreWrittenDown(t *testing.T) {
	lines := mustReadLines(t, "testdata/values.txt")
	if len(lines) != 3*len(values) {
		t.Fatalf("%d lines for %d values", len(lines), len(values))
	}
	for i := 0; i < len(lines); i += 3 {
		v, ok := values[lines[i]]
		if !ok {
			t.Fatalf("no value is called %q", lines[i])
		}
		want2 := mustUnquote(t, strings.TrimSpace(lines[i+1]))
		want3 := want2
		if quoted := strings.TrimSpace(lines[i+2]); quoted != "same" {
			want3 = mustUnquote(t, quoted)
		}
		if got := string(resp.Append(nil, resp.RESP2, v)); got != want2 {
			t.Errorf("%s in RESP2: %q, want %q", lines[i], got, want2)
		}
		if got := string(resp.Append(nil, resp.RESP3, v)); got != want3 {
			t.Errorf("%s in RESP3: %q, want %q", lines[i], got, want3)
		}
		if back, err := readOne(want3); err != nil || back.Equal(v) == lossy[lines[i]] {
			t.Errorf("%s is read from %q as %v %+v, %v", lines[i], want3, back.Kind(), back, err)
		}
		// What RESP2 has no form for must read as something, and be sent the same.
		back, err := readOne(want2)
		if got := string(resp.Append(nil, resp.RESP2, back)); err != nil || got != want2 {
			t.Errorf("%s is read from %q, sent as %q, %v", lines[i], want2, got, err)
		}
	}
}

func TestFunctionsAppendWhatAppendDoes(t *testing.T) {
	for _, version := range []resp.Version{resp.RESP2, resp.RESP3} {
		for name, got := range map[string][]byte{
			"null": resp.AppendNull(nil, version), "null array": resp.AppendNullArray(nil, version),
			"simple string": resp.AppendSimple(nil, "OK"), "error with line breaks": resp.AppendError(nil, "ERR", "a\r\nb"),
			"integer": resp.AppendInt(nil, 5), "bulk string": resp.AppendBulk(nil, []byte("hits")),
			"empty map": resp.AppendMap(nil, version, 0), "double": resp.AppendDouble(nil, version, 0.5),
			"true": resp.AppendBool(nil, version, true), "big number": resp.AppendBigNumber(nil, version, "12345678901234567890"),
			"verbatim string": resp.AppendVerbatim(nil, version, "txt", "a\r\nb:"),
			"set":             resp.AppendInt(resp.AppendInt(resp.AppendSet(nil, version, 2), 1), 2),
			"push":            resp.AppendBulk(resp.AppendSimple(resp.AppendPush(nil, version, 2), "message"), "hi"),
		} {
			if want := resp.Append(nil, version, values[name]); string(got) != string(want) {
				t.Errorf("%s in RESP%d: %q, want %q", name, version, got, want)
			}
		}
	}
}

func TestErrorHasAPrefix(t *testing.T) {
	for packet, want := range map[string]string{"-ERR no\r\n": "ERR", "-NOAUTH\r\n": "NOAUTH", "!5\r\nERR a\r\n": "ERR", "+OK no\r\n": ""} {
		if v, err := readOne(packet); err != nil || v.Prefix() != want || v.IsError() != (want != "") {
			t.Errorf("%q: prefix %q, %v, want %q", packet, v.Prefix(), err, want)
		}
	}
}

func TestRepliesThatServersSendAreRead(t *testing.T) {
	for packet, want := range map[string]resp.Value{
		"|1\r\n+ttl\r\n:3600\r\n:7\r\n":                          resp.IntValue(7),
		"|0\r\n|1\r\n*1\r\n+a\r\n%1\r\n:1\r\n:2\r\n+OK\r\n":      resp.SimpleValue("OK"),
		"*2\r\n|1\r\n+a\r\n+b\r\n:1\r\n|1\r\n+c\r\n:9\r\n:2\r\n": resp.ArrayValue(resp.IntValue(1), resp.IntValue(2)),
		",-nan\r\n": resp.DoubleValue(math.NaN()),
		",1e3\r\n":  resp.DoubleValue(1000),
		"(-0\r\n":   resp.BigNumberValue("-0"),
		"(+" + strings.Repeat("9", 60000) + "\r\n":               resp.BigNumberValue("+" + strings.Repeat("9", 60000)),
		strings.Repeat("*1\r\n", 32) + ":1\r\n":                  nested(32),
		"+" + strings.Repeat("a", 64<<10-1) + "\r\n":             resp.SimpleValue(strings.Repeat("a", 64<<10-1)),
		"$100000\r\n" + strings.Repeat("\r\n$", 33333) + "x\r\n": resp.BulkValue(strings.Repeat("\r\n$", 33333) + "x"),
		"+a\nb\r\n": resp.SimpleValue("a\nb"),
		"*-1\r\n":   resp.NullArrayValue(),
		"~0\r\n":    resp.SetValue(),
	} {
		if v, err := readOne(packet); err != nil || !v.Equal(want) {
			t.Errorf("%.60q: %v %.60q, %v", packet, v.Kind(), v.Text(), err)
		}
	}
}

// nested is 1 in so many arrays.
func nested(depth int) resp.Value {
	v := resp.IntValue(1)
	for range depth {
		v = resp.ArrayValue(v)
	}
	return v
}

func TestRepliesThatAreNoneAreRefused(t *testing.T) {
	limits := resp.ReplyLimits{Bytes: 1 << 20, BulkBytes: 1000, Values: 100}
	for packet, want := range map[string]string{
		"$?\r\n;1\r\na\r\n;0\r\n":      "streamed strings",
		"*?\r\n:1\r\n.\r\n":            "streamed values (*?)",
		"%?\r\n":                       "streamed values (%?)",
		"~?\r\n":                       "streamed values (~?)",
		"x\r\n":                        "unknown type 'x'",
		"\r\n":                         "unknown type '\r'",
		"HTTP/1.1 400 Bad Request\r\n": "unknown type 'H'",
		"\r0\r\n":                      "without a line feed",
		"+OK\rx":                       "without a line feed",
		":1\rx":                        "without a line feed",
		":\r\n":                        "invalid value",
		":+1\r\n":                      "invalid value",
		":01\r\n":                      "invalid value",
		":9223372036854775808\r\n":     "invalid value",
		"#x\r\n":                       "invalid value",
		"#tt\r\n":                      "invalid value",
		"#\r\n":                        "invalid value",
		"_x\r\n":                       "invalid value",
		",\r\n":                        "invalid double",
		",0x1p4\r\n":                   "invalid double",
		",1_0\r\n":                     "invalid double",
		",infinity\r\n":                "invalid double",
		",1e999\r\n":                   "invalid double",
		"(\r\n":                        "invalid big number",
		"(-\r\n":                       "invalid big number",
		"(1.5\r\n":                     "invalid big number",
		"$-2\r\n":                      "invalid bulk length",
		"=-1\r\n":                      "invalid bulk length",
		"!-1\r\n":                      "invalid bulk length",
		"$9223372036854775807\r\nx":    "too big bulk length",
		"$9223372036854775808\r\n":     "invalid bulk length",
		"$1001\r\n":                    "too big bulk length",
		"$1\r\nab\r\n":                 "longer than its length",
		"$1\r\na\nb":                   "longer than its length",
		"=3\r\ntxt\r\n":                "invalid bulk length",
		"=5\r\ntxt-a\r\n":              "no format",
		"*-2\r\n":                      "invalid multibulk length",
		"%-1\r\n":                      "invalid multibulk length",
		"~-1\r\n":                      "invalid multibulk length",
		">-1\r\n":                      "invalid multibulk length",
		"|-1\r\n":                      "invalid multibulk length",
		"*101\r\n":                     "too many values",
		"%51\r\n":                      "too many values",
		"*9223372036854775807\r\n":     "too many values",
		"%4611686018427387904\r\n":     "too many values",
		"*90\r\n" + "*11\r\n":          "too many values",
		"*1\r\n>1\r\n+a\r\n":           "push within",
		strings.Repeat("*1\r\n", 33):   "too deep",
		strings.Repeat("|1\r\n", 33):   "too deep",
		"+" + strings.Repeat("a", 64<<10) + "\r\n": "too long line",
		"*" + strings.Repeat("1", 70<<10):          "too long line",
		strings.Repeat("|0\r\n", 1<<18+1):          "too big reply",
	} {
		for how, source := range map[string]io.Reader{"whole": strings.NewReader(packet), "dribbled": dribble(packet)} {
			r := resp.NewReplyReader(source, limits)
			replies, err := readReplies(r)
			wrong, ok := errors.AsType[*resp.ProtocolError](err)
			if !ok || len(replies) > 0 || !strings.Contains(wrong.Text, want) {
				t.Errorf("%.40q, %s: %d replies, %v, want %q", packet, how, len(replies), err, want)
			}
			if _, again := r.Read(); again != err {
				t.Errorf("%.40q, %s: it goes on with %v", packet, how, again)
			}
		}
	}
}

func TestEndWithinAReplyIsUnexpected(t *testing.T) {
	for _, whole := range []string{"+OK\r\n", "$1\r\na\r\n", "*2\r\n|1\r\n+a\r\n:1\r\n$0\r\n\r\n%0\r\n", "|1\r\n:1\r\n:2\r\n_\r\n"} {
		for i := 1; i < len(whole); i++ {
			if _, err := readOne(whole[:i]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut off behind %q: %v", whole[:i], err)
			}
		}
	}
}

// TestReplyReaderGoesOnBehindAnErrorOfTheSource is a deadline that passes in
// the middle of a reply.
func TestReplyReaderGoesOnBehindAnErrorOfTheSource(t *testing.T) {
	parts := []string{"*2\r\n:1\r\n$3\r\na", "bc\r\n"}
	late := false
	r := resp.NewReplyReader(readerFunc(func(p []byte) (int, error) {
		if late = !late; !late {
			return 0, os.ErrDeadlineExceeded
		}
		n := copy(p, parts[0])
		parts = parts[1:]
		return n, nil
	}), resp.DefaultReplyLimits())
	if _, err := r.Read(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("%v, want the deadline", err)
	}
	if v, err := r.Read(); err != nil || !v.Equal(resp.ArrayValue(resp.IntValue(1), resp.BulkValue("abc"))) {
		t.Fatalf("%v, %v", v, err)
	}
}

// replyClaims are replies that say much and hold little, and replies that are
// cut off when much has come.
func replyClaims() map[string]string {
	return map[string]string{
		"nothing":          "",
		"a large string":   "$67000000\r\nabc",
		"half of it":       "$67000000\r\n" + strings.Repeat("a", 1<<20),
		"many values":      "*1000000\r\n:1\r\n",
		"arrays in arrays": strings.Repeat("*30000\r\n", 32),
		"most of them":     "*1000000\r\n" + strings.Repeat("_\r\n", 999_999),
		"a line":           "+" + strings.Repeat("a", 64<<10-1),
		"attributes":       strings.Repeat("|1\r\n+a\r\n+b\r\n", 50_000),
	}
}

func TestClaimsOfRepliesAllocateWhatHasArrived(t *testing.T) {
	for name, packet := range replyClaims() {
		most := uint64(2*len(packet) + 64<<10)
		if n := allocates(func() {
			if v, err := readOne(packet); err == nil {
				t.Fatalf("%s is a reply: %v", name, v)
			}
		}); n > most {
			t.Errorf("%s: %d bytes made it allocate %d, want at most %d", name, len(packet), n, most)
		}
		r := resp.NewReplyReader(dribble(packet), resp.DefaultReplyLimits())
		readReplies(r)
		if n := resp.HeldReply(r); uint64(n) > most {
			t.Errorf("%s: %d bytes make it hold %d, want at most %d", name, len(packet), n, most)
		}
		if n := resp.LookedReply(r); n > len(packet) {
			t.Errorf("%s: looked at %d bytes of %d", name, n, len(packet))
		}
	}
}

func TestRepliesAreTheSameCutAtAnyPlace(t *testing.T) {
	for name, v := range values {
		packet := string(resp.Append(nil, resp.RESP3, v)) + "|1\r\n+a\r\n:1\r\n" + string(resp.Append(nil, resp.RESP3, v))
		want, err := readReplies(resp.NewReplyReader(strings.NewReader(packet), resp.DefaultReplyLimits()))
		if err != io.EOF || len(want) != 2 {
			t.Fatalf("%s: %d replies, %v", name, len(want), err)
		}
		sources := []io.Reader{dribble(packet), iotest.DataErrReader(strings.NewReader(packet))}
		for i := range packet {
			sources = append(sources, cut(packet, i))
		}
		for i, source := range sources {
			got, err := readReplies(resp.NewReplyReader(source, resp.DefaultReplyLimits()))
			if err != io.EOF || !slices.EqualFunc(got, want, resp.Value.Equal) {
				t.Errorf("%s, source %d: %v, %v, want %v", name, i, got, err, want)
			}
		}
	}
}

// line is a text that may stand on a line.
var line = rapid.StringMatching(`[^\r\n]{0,20}`)

// drawValue draws a value that RESP3 gives back as it is.
func drawValue(t *rapid.T, depth int) resp.Value {
	kinds := []resp.Kind{resp.Null, resp.Simple, resp.Error, resp.Int, resp.Bulk, resp.Double, resp.Bool, resp.BigNumber, resp.Verbatim, resp.BlobError}
	if depth > 0 {
		kinds = append(kinds, resp.Array, resp.Map, resp.Set)
	}
	text := func() string { return string(rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "text")) }
	list := func(each int) (list []resp.Value) {
		for range each * rapid.IntRange(0, 4).Draw(t, "length") {
			list = append(list, drawValue(t, depth-1))
		}
		return list
	}
	switch rapid.SampledFrom(kinds).Draw(t, "kind") {
	case resp.Simple:
		return resp.SimpleValue(line.Draw(t, "line"))
	case resp.Error:
		return resp.ErrorValue("ERR", line.Draw(t, "line"))
	case resp.Int:
		return resp.IntValue(rapid.Int64().Draw(t, "integer"))
	case resp.Bulk:
		return resp.BulkValue(text())
	case resp.Double:
		return resp.DoubleValue(rapid.Float64().Draw(t, "double"))
	case resp.Bool:
		return resp.BoolValue(rapid.Bool().Draw(t, "boolean"))
	case resp.BigNumber:
		return resp.BigNumberValue(rapid.StringMatching(`-?[0-9]{1,50}`).Draw(t, "digits"))
	case resp.Verbatim:
		return resp.VerbatimValue("txt", text())
	case resp.BlobError:
		return resp.BlobErrorValue("ERR", text())
	case resp.Array:
		return resp.ArrayValue(list(1)...)
	case resp.Set:
		return resp.SetValue(list(1)...)
	case resp.Map:
		return resp.MapValue(list(2)...)
	}
	return resp.Value{}
}

func TestRepliesReadAsTheyWereSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var packet []byte
		sent := make([]resp.Value, rapid.IntRange(1, 5).Draw(t, "replies"))
		for i := range sent {
			sent[i] = drawValue(t, 3)
			packet = resp.Append(packet, resp.RESP3, sent[i])
		}
		place := rapid.IntRange(0, len(packet)).Draw(t, "place")
		got, err := readReplies(resp.NewReplyReader(cut(string(packet), place), resp.DefaultReplyLimits()))
		if err != io.EOF || !slices.EqualFunc(got, sent, resp.Value.Equal) {
			t.Fatalf("sent %q, read %v, %v", packet, got, err)
		}
	})
}

func TestCallsReadAsTheyWereSent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var packet []byte
		sent := make([]resp.Call, rapid.IntRange(1, 5).Draw(t, "calls"))
		for i := range sent {
			sent[i] = rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 30), 1, 5).Draw(t, "call")
			packet = resp.AppendCall(packet, string(sent[i][0]), sent[i][1:]...)
		}
		place := rapid.IntRange(0, len(packet)).Draw(t, "place")
		got, err := readCalls(resp.NewReader(cut(string(packet), place), after()))
		if describe(got, err) != describe(sent, io.EOF) {
			t.Fatalf("sent %q, read %s", packet, describe(got, err))
		}
	})
}

// FuzzReplyReader reads arbitrary bytes whole and in pieces. Both must give
// the same, in bounded memory, and what is read must read the same when it is
// sent again.
func FuzzReplyReader(f *testing.F) {
	for _, v := range values {
		f.Add(resp.Append(nil, resp.RESP3, v), uint16(3))
		f.Add(resp.Append([]byte("|1\r\n+a\r\n:1\r\n"), resp.RESP2, v), uint16(8))
	}
	limits := resp.ReplyLimits{Bytes: 1 << 20, BulkBytes: 1 << 16, Values: 1 << 10}
	f.Fuzz(func(t *testing.T, data []byte, place uint16) {
		r := resp.NewReplyReader(strings.NewReader(string(data)), limits)
		want, err := readReplies(r)
		if n := resp.HeldReply(r); n > 2*len(data)+64<<10 {
			t.Fatalf("%d bytes make it hold %d", len(data), n)
		}
		sources := []io.Reader{cut(string(data), min(int(place), len(data)))}
		if len(data) < 50 {
			sources = append(sources, dribble(string(data)))
		}
		for i, source := range sources {
			got, err2 := readReplies(resp.NewReplyReader(source, limits))
			if err2.Error() != err.Error() || !slices.EqualFunc(got, want, resp.Value.Equal) {
				t.Fatalf("source %d, cut at %d: %v, %v\nwant %v, %v", i, place, got, err2, want, err)
			}
		}
		var once, twice []byte
		for _, v := range want {
			once = resp.Append(once, resp.RESP3, v)
		}
		back, err := readReplies(resp.NewReplyReader(strings.NewReader(string(once)), limits))
		for _, v := range back {
			twice = resp.Append(twice, resp.RESP3, v)
		}
		if err != io.EOF || string(once) != string(twice) {
			t.Fatalf("sent again %q, and again %q, %v", once, twice, err)
		}
	})
}
