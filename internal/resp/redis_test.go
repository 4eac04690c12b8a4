package resp_test

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/resp"
)

// Servers of Redis 7.0 to compare with; without them the recorded answers
// count. To record them anew:
//
//	redis-server --port 17777 --save "" --proto-max-bulk-len 1mb
//	redis-server --port 17778 --save "" --requirepass secret
//	go test ./internal/resp -run Redis -redis 127.0.0.1:17777 -redis-auth 127.0.0.1:17778 -rewrite
var (
	redis     = flag.String("redis", "", "address of a redis-server 7.0 with proto-max-bulk-len 1mb")
	redisAuth = flag.String("redis-auth", "", "address of a redis-server 7.0 with a password")
	rewrite   = flag.Bool("rewrite", false, "record the answers of the servers in testdata")
	packets   = flag.Int("packets", 2000, "random packets to send to the servers")
	seed      = flag.Uint64("seed", 0, "of the random packets; 0 takes one from the clock")
)

// hostileFile has packets and what Redis 7.0.15 answers to them, in turns. A
// packet begins with who sends it: before or after authentication. An empty
// answer is a client that waits, or is closed without a word. Errors of commands
// are recorded as "other".
const hostileFile = "testdata/hostile.txt"

// limitsOf is the limits of Redis for who sends a packet, as far as ours are
// the same.
func limitsOf(who string) resp.Limits {
	if who == "before" {
		return resp.LimitsBefore()
	}
	return after()
}

func TestHostilePacketsAreAnsweredAsRedisDoes(t *testing.T) {
	lines := mustReadLines(t, hostileFile)
	if len(lines) < 2*100 {
		t.Fatalf("%d lines, want 100 packets and answers at least", len(lines))
	}
	for i := 0; i < len(lines); i += 2 {
		who, quoted, _ := strings.Cut(lines[i], " ")
		packet, want := mustUnquote(t, quoted), mustUnquote(t, strings.TrimSpace(lines[i+1]))
		sources := map[string]io.Reader{
			"whole":      strings.NewReader(packet),
			"in halves":  cut(packet, len(packet)/2),
			"dribbled":   dribble(packet),
			"less a bit": cut(packet, max(0, len(packet)-1)),
		}
		for how, source := range sources {
			if got := serve(source, limitsOf(who)); got != want {
				t.Errorf("%s %s, %s: answered %q, Redis answers %q", who, quoted, how, got, want)
			}
		}
	}
}

// TestRedisAnswersAsRecorded holds the recorded answers against a server.
func TestRedisAnswersAsRecorded(t *testing.T) {
	if *redis == "" || *redisAuth == "" {
		t.Skip("compares with the servers of -redis and -redis-auth")
	}
	data, err := os.ReadFile(hostileFile)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	lines := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		out.WriteString(lines[i] + "\n")
		if lines[i] == "" || lines[i][0] == '#' {
			continue
		}
		who, quoted, _ := strings.Cut(lines[i], " ")
		fmt.Fprintf(&out, "\t%q\n", ask(t, who, mustUnquote(t, quoted)))
		if i+1 < len(lines) && strings.HasPrefix(lines[i+1], "\t") {
			i++
		}
	}
	switch {
	case *rewrite:
		if err := os.WriteFile(hostileFile, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	case out.String() != string(data):
		t.Errorf("the servers answer otherwise than %s says; -rewrite shows what", hostileFile)
	}
}

// TestRandomPacketsAreAnsweredAsRedisDoes makes packets of what goes wrong in
// practice, and compares.
func TestRandomPacketsAreAnsweredAsRedisDoes(t *testing.T) {
	if *redis == "" || *redisAuth == "" {
		t.Skip("compares with the servers of -redis and -redis-auth")
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	random := rand.New(rand.NewPCG(*seed, 0))
	for range *packets {
		who := []string{"before", "after"}[random.IntN(2)]
		packet := randomPacket(random)
		if got, want := serve(strings.NewReader(packet), limitsOf(who)), ask(t, who, packet); got != want {
			t.Fatalf("%s %q: answered %q, Redis answers %q (-seed %d)", who, packet, got, want, *seed)
		}
	}
}

// tokens is what random packets are made of. No byte 0, and no HTTP: there we
// differ on purpose.
var tokens = []string{
	"*2\r\n$4\r\nECHO\r\n$1\r\na\r\n", "ECHO a\r\n", "ECHO \"a b\"\n", "*2\r\n", "*1\r\n", "$4\r\nECHO\r\n", "$1\r\na\r\n",
	"*", "$", "\r\n", "\r", "\n", "-1", "0", "1", "4", "01", "+1", " ", "\"", "'", "\\", "\\x4", "\\x41", "\\n", "\\'", "\v", "\t",
	"ECHO", "echo ", "a", "\xff", "10", "11", "9223372036854775807", "18446744073709551616", "*0\r\n", "*-1\r\n", "$0\r\n\r\n", "+OK\r\n",
}

func randomPacket(random *rand.Rand) string {
	var packet strings.Builder
	for range 1 + random.IntN(12) {
		packet.WriteString(tokens[random.IntN(len(tokens))])
	}
	return packet.String()
}

// otherError is an error of a command.
var otherError = regexp.MustCompile(`(?m)^-(NOAUTH|ERR unknown|ERR wrong)[^\r\n]*\r$`)

// ask sends a packet to Redis and returns all it answers.
func ask(t *testing.T, who, packet string) string {
	t.Helper()
	address := *redis
	if who == "before" {
		address = *redisAuth
	}
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	go func() {
		io.WriteString(c, packet)
		c.(*net.TCPConn).CloseWrite()
	}()
	// A server that closes before it has read all resets the connection.
	answer, _ := io.ReadAll(c)
	return otherError.ReplaceAllString(string(answer), "-ERR other\r")
}
