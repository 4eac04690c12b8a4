package resp_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/resp"
)

// errLater is of a source that has nothing now.
var errLater = errors.New("nothing now")

// pausing delivers a byte, and then nothing for once.
type pausing struct {
	data  string
	later bool
}

func (p *pausing) Read(into []byte) (int, error) {
	if p.later = !p.later; p.later {
		return 0, errLater
	}
	if p.data == "" {
		return 0, io.EOF
	}
	into[0], p.data = p.data[0], p.data[1:]
	return 1, nil
}

// TestReaderIsIdleExactlyBetweenCalls asks behind each byte, and gives the
// memory back wherever it can.
func TestReaderIsIdleExactlyBetweenCalls(t *testing.T) {
	source := &pausing{data: strings.Repeat(mixed(), 3)}
	all := len(source.data)
	r := resp.NewReader(source, after())
	var calls []resp.Call
	for {
		pipeline, err := r.Read()
		calls = append(calls, pipeline...)
		switch {
		case err == nil:
			if !r.Idle() {
				t.Fatalf("behind a call at %d it is not idle", all-len(source.data))
			}
		case err == io.EOF:
			want, _ := readCalls(resp.NewReader(strings.NewReader(strings.Repeat(mixed(), 3)), after()))
			if !same(calls, want) {
				t.Fatalf("%s\nwant %s", describe(calls, nil), describe(want, nil))
			}
			return
		case !errors.Is(err, errLater):
			t.Fatal(err)
		}
		idle := r.Idle()
		r.Shrink()
		if held := resp.Held(r); idle && held != 0 {
			t.Fatalf("it is idle and holds %d bytes", held)
		}
	}
}

func TestLargeArgumentsAreForTheNamesThatMay(t *testing.T) {
	limits := after()
	limits.BulkBytesLarge = 2 << 20
	limits.Large = func(name []byte) bool { return string(name) == "FRAME" }
	call := func(name string, size int) string {
		return fmt.Sprintf("*2\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(name), name, size, strings.Repeat("a", size))
	}
	for _, tt := range []struct{ name, packet, want string }{
		{"the largest", call("FRAME", 2<<20), "EOF"},
		{"a byte too many", call("FRAME", 2<<20+1), "Protocol error: invalid bulk length"},
		{"another name", call("OTHER", 1<<20+1), "Protocol error: invalid bulk length"},
		{"the largest of another name", call("OTHER", 1<<20), "EOF"},
		{"as the name", "*1\r\n$1048577\r\n", "Protocol error: invalid bulk length"},
		{"behind a long name", call(strings.Repeat("FRAME", 20), 1<<20+1), "Protocol error: invalid bulk length"},
	} {
		for how, source := range map[string]io.Reader{"whole": strings.NewReader(tt.packet), "cut": cut(tt.packet, 5, len(tt.packet)/2)} {
			if _, err := readCalls(resp.NewReader(source, limits)); err.Error() != tt.want {
				t.Errorf("%s, %s: %v, want %s", tt.name, how, err, tt.want)
			}
		}
	}
}
