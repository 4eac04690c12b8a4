package resp_test

import (
	"bytes"
	"flag"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/resp"
)

var inputs = flag.Int("inputs", 20_000, "random packets to read, whole and in pieces")

// replyTokens is what random replies are made of; tokens is the same for
// calls.
var replyTokens = []string{
	"+OK\r\n", "-ERR a\r\n", ":1\r\n", "$1\r\na\r\n", "$-1\r\n", "*-1\r\n", "_\r\n", "#t\r\n", ",0.5\r\n", "(1\r\n", "=5\r\ntxt:a\r\n", "!3\r\nE a\r\n",
	"*1\r\n", "*2\r\n", "%1\r\n", "~1\r\n", ">1\r\n", "|1\r\n", "*0\r\n", "|0\r\n", "*", "$", "%", "|", ">", "+", ",", "(", "=", "!", "1", "0", "-1", "?",
	"9223372036854775807", "4611686018427387904", "\r\n", "\r", "\n", "a", "inf", "nan", "1e5", ":", "-",
}

// draw makes a packet of tokens, and sometimes a byte of it another one.
func draw(random *rand.Rand, packet []byte, tokens []string) []byte {
	for range 1 + random.IntN(10) {
		packet = append(packet, tokens[random.IntN(len(tokens))]...)
	}
	if random.IntN(4) == 0 {
		packet[random.IntN(len(packet))] = byte(random.Uint32())
	}
	return packet
}

// pieces delivers data in two reads.
type pieces struct {
	data  []byte
	place int
}

func (p *pieces) Read(into []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	size := len(p.data)
	if p.place > 0 && p.place < size {
		size = p.place
	}
	n := copy(into, p.data[:size])
	p.data, p.place = p.data[n:], 0
	return n, nil
}

// TestRandomPacketsAreTheSameHoweverTheyAreCut reads packets made of what goes
// wrong in practice. A run of tens of millions takes some minutes:
//
//	go test ./internal/resp -run RandomPacketsAreTheSame -inputs 10000000
func TestRandomPacketsAreTheSameHoweverTheyAreCut(t *testing.T) {
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	random := rand.New(rand.NewPCG(*seed, 0))
	var packet []byte
	for range *inputs / 2 {
		packet = draw(random, packet[:0], tokens)
		place := random.IntN(len(packet))
		want, err := readCalls(resp.NewReader(bytes.NewReader(packet), after()))
		got, err2 := readCalls(resp.NewReader(&pieces{packet, place}, after()))
		if err2.Error() != err.Error() || !same(got, want) {
			t.Fatalf("%q cut at %d: %s\nwant %s (-seed %d)", packet, place, describe(got, err2), describe(want, err), *seed)
		}

		packet = draw(random, packet[:0], replyTokens)
		place = random.IntN(len(packet))
		replies, err := readReplies(resp.NewReplyReader(bytes.NewReader(packet), resp.DefaultReplyLimits()))
		replies2, err2 := readReplies(resp.NewReplyReader(&pieces{packet, place}, resp.DefaultReplyLimits()))
		if err2.Error() != err.Error() || !slices.EqualFunc(replies, replies2, resp.Value.Equal) {
			t.Fatalf("%q cut at %d: %v, %v\nwant %v, %v (-seed %d)", packet, place, replies2, err2, replies, err, *seed)
		}
	}
}

// TestRandomTokensReachWhatIsWhole keeps the test above from drawing nothing
// but what is refused.
func TestRandomTokensReachWhatIsWhole(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	calls, replies := 0, 0
	for range 1000 {
		got, _ := readCalls(resp.NewReader(strings.NewReader(string(draw(random, nil, tokens))), after()))
		got2, _ := readReplies(resp.NewReplyReader(strings.NewReader(string(draw(random, nil, replyTokens))), resp.DefaultReplyLimits()))
		calls, replies = calls+len(got), replies+len(got2)
	}
	if calls < 300 || replies < 300 {
		t.Fatalf("1000 packets held %d calls and %d replies, want 300 of each", calls, replies)
	}
}
