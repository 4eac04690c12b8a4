package respapi_test

import (
	"flag"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate/respapi"
)

// conversations are what both servers are told, each on a connection of its
// own, a call on each line or behind each bar. A line that begins with
// "password" is for servers that have one, which is sesame.
const conversations = `
PING
PING a
PING a b
ping a
ECHO
ECHO a
ECHO a b
TIME x
QUIT
QUIT x
QUIT | PING
RESET
RESET x
SELECT
SELECT 0
SELECT a
SELECT 1
SELECT -1
SELECT 99999999999
SELECT 99999999999999999999
SELECT +0
SELECT 00
HELLO 4
HELLO 1
HELLO a
HELLO 3 FOO
HELLO 3 AUTH a
HELLO 3 AUTH
HELLO 3 AUTH foo x
HELLO 3 SETNAME
HELLO 3 SETNAME "a b"
HELLO 2 SETNAME x y
HELLO 3 AUTH foo x SETNAME a | CLIENT GETNAME
HELLO
HELLO 2
HELLO 3
hello 3 auth default x setname bob | CLIENT GETNAME
HELLO 3 SETNAME bob | HELLO 2 | CLIENT GETNAME
HELLO 3 SETNAME bob | HELLO 4 SETNAME al | CLIENT GETNAME
AUTH
AUTH x
AUTH default x
AUTH foo x
AUTH a b c
CLIENT
CLIENT FOO
CLIENT FOO a b
client foo
CLIENT ID x
CLIENT SETNAME "a b"
CLIENT SETNAME "a\nb"
CLIENT SETNAME "" | CLIENT GETNAME
CLIENT SETNAME
CLIENT SETNAME x y
CLIENT GETNAME
CLIENT GETNAME x
CLIENT SETNAME x | CLIENT GETNAME | RESET | CLIENT GETNAME
CLIENT SETNAME x | CLIENT SETNAME "" | CLIENT GETNAME
CLIENT NO-EVICT
CLIENT NO-EVICT x
CLIENT NO-EVICT on
CLIENT NO-EVICT OFF
CLIENT REPLY
CLIENT REPLY x
CLIENT REPLY ON
CLIENT REPLY SKIP | PING | PING a
CLIENT REPLY SKIP | CLIENT REPLY SKIP | PING | PING a | PING b
CLIENT REPLY SKIP | GET a | PING | GET a
CLIENT REPLY OFF | PING | CLIENT REPLY SKIP | PING | GET a | CLIENT REPLY ON | PING | GET a
CLIENT REPLY OFF | RESET | PING
CLIENT REPLY OFF | QUIT
CLIENT REPLY SKIP | QUIT
CLIENT REPLY OFF | FOO | CLIENT REPLY ON | FOO
CLIENT REPLY SKIP | FOO | FOO
CLIENT KILL
CLIENT KILL x
CLIENT KILL 127.0.0.1:1
CLIENT KILL ID x
CLIENT KILL ID 0
CLIENT KILL ID 999999
CLIENT KILL ID 999999 ADDR
CLIENT KILL ID 999999 FOO x
CLIENT KILL TYPE x
CLIENT KILL TYPE pubsub
CLIENT KILL TYPE master
CLIENT KILL TYPE replica
CLIENT KILL TYPE slave
CLIENT KILL USER x
CLIENT KILL SKIPME x
CLIENT KILL LADDR x
CLIENT KILL ADDR x SKIPME no
CLIENT LIST x
CLIENT LIST TYPE x
CLIENT LIST TYPE pubsub
CLIENT LIST TYPE
CLIENT LIST TYPE x y
CLIENT LIST ID
CLIENT LIST ID x
CLIENT LIST ID 1 x
CLIENT LIST ID 999999
CLIENT TRACKING
CLIENT TRACKING x
CLIENT TRACKING OFF
CLIENT TRACKINGINFO
HELLO 3 | CLIENT TRACKINGINFO
CLIENT GETREDIR
CLIENT CACHING yes
CLIENT CACHING
CLIENT MAINT_NOTIFICATIONS ON
CLIENT CAPA redirect
CLIENT NO-TOUCH ON
CONFIG
CONFIG FOO
CONFIG GET
CONFIG GET foo
CONFIG GET databases
CONFIG GET save
CONFIG GET DATABASE[s-z]
CONFIG GET data\bases
CONFIG GET foo databases
CONFIG GET databases data*
CONFIG GET timeout
CONFIG GET maxmemory
CONFIG GET maxmemory-policy
CONFIG GET cluster-*d
HELLO 3 | CONFIG GET databases
CONFIG SET foo bar
CONFIG SET databases 4
CONFIG SET maxmemory
CONFIG SET databases 4 foo bar
CONFIG SET databases 4 foo
CONFIG RESETSTAT
CONFIG RESETSTAT x
CONFIG REWRITE
COMMAND FOO
COMMAND COUNT x
COMMAND LIST FOO
COMMAND LIST FILTERBY foo x
COMMAND LIST FILTERBY pattern ec?o
COMMAND LIST FILTERBY pattern client|id
COMMAND LIST FILTERBY module foo
COMMAND LIST FILTERBY aclcat foo
COMMAND LIST FILTERBY aclcat
COMMAND GETKEYS
COMMAND GETKEYS foo
COMMAND GETKEYS get
COMMAND GETKEYS foo a
COMMAND GETKEYS get a
COMMAND GETKEYS get a b
COMMAND GETKEYS ping a
COMMAND GETKEYS mget a b c
COMMAND GETKEYS watch a b
COMMAND GETKEYS client id
COMMAND GETKEYS client foo
COMMAND INFO foo
COMMAND INFO get
COMMAND INFO ping foo PING
COMMAND INFO client|id
COMMAND INFO client|foo
COMMAND INFO client|id|x
HELLO 3 | COMMAND INFO mget
COMMAND DOCS foo
COMMAND DOCS echo
COMMAND DOCS client|id
COMMAND DOCS get foo
HELLO 3 | COMMAND DOCS set
WAIT
WAIT x 0
WAIT 0 x
WAIT 0 -1
WAIT -1 0
WAIT 0 0
MULTI x
EXEC
EXEC x
DISCARD
MULTI | MULTI | EXEC
MULTI | DISCARD | EXEC
MULTI | EXEC | EXEC
MULTI | EXEC x | EXEC
MULTI | WATCH a | SET m1 b | EXEC
MULTI | PING | ECHO a | SELECT 0 | SELECT 1 | CLIENT GETNAME | EXEC
MULTI | WAIT 0 0 | CONFIG GET save | UNWATCH | COMMAND INFO foo | EXEC
MULTI | CLIENT FOO | EXEC
MULTI | FOO | SET m2 1 | EXEC | GET m2
MULTI | GET | SET m2 1 | EXEC | GET m2
MULTI | AUTH x | EXEC
MULTI | HELLO 3 | GET m3 | EXEC | GET m3
MULTI | HELLO 4 | EXEC
MULTI | CLIENT REPLY OFF | PING | EXEC | PING
MULTI | CLIENT REPLY SKIP | PING | EXEC | PING | PING
MULTI | RESET | EXEC
MULTI | QUIT | PING
MULTI | DISCARD x | EXEC
MULTI | WATCH | EXEC
MULTI | MULTI x | EXEC
MULTI | PING a b c | EXEC
MULTI | SET m4 1 | GET m4 | INCR m4 | GET m4 | DEL m4 | GET m4 | EXEC
MULTI | SET m5 x | INCR m5 | SET m6 y | EXEC | GET m5 | GET m6
MULTI | SET m7 a b c d e f | SET m8 1 | EXEC | GET m7 | GET m8
MULTI | INCR a b | EXEC
MULTI | FOO | DISCARD | MULTI | PING | EXEC
MULTI | FOO | RESET | PING
HELLO 3 | MULTI | GET m9 | DEL m9 | EXEC
WATCH
WATCH a b a
WATCH w1 | SET w1 1 | MULTI | GET w1 | EXEC | GET w1
WATCH w2 | MULTI | SET w2 1 | EXEC | GET w2
WATCH w3 | SET w3 2 | MULTI | EXEC
WATCH w4 | SET w4 2 | HELLO 3 | MULTI | PING | EXEC
WATCH w5 | SET w5 2 | UNWATCH | MULTI | PING | EXEC
WATCH w6 | SET w6 2 | MULTI | DISCARD | MULTI | EXEC
WATCH w7 | SET w7 2 | RESET | MULTI | EXEC
WATCH w8 | SET w8 2 | MULTI | FOO | EXEC | MULTI | EXEC
WATCH w9 | SET w9 2 | EXEC | MULTI | EXEC
WATCH v1 | SET v1 2 | WATCH v1 | MULTI | EXEC
WATCH v2 v3 | SET v3 2 | MULTI | EXEC
WATCH v4 | SET v4 2 | MULTI | UNWATCH | EXEC | MULTI | EXEC
SET v5 1 | WATCH v5 | DEL v5 | MULTI | EXEC
UNWATCH
UNWATCH x
SET p1 1 | GET p1 | INCR p1 | FOO | GET p1 | PING | DEL p1 | GET p1
GET
GET a b
SET a
SET a b c
DEBUG
INFO foo
INFO a b
READONLY
READWRITE
CLUSTER INFO
ASKING
FOO
foo a b c
foo "a\x00b" c
"f\r\noo" "\r\n"
"" a
CLIENT ""
CLIENT "a\x00b"
password GET a
password PING
password FOO
password GET
password CLIENT
password CLIENT FOO
password MULTI
password RESET
password QUIT
password QUIT | PING
password HELLO
password HELLO 3
password HELLO 9
password HELLO 3 SETNAME a
password HELLO 3 AUTH default wrong
password HELLO 3 AUTH foo sesame
password HELLO 3 AUTH default sesame
password HELLO 3 AUTH default sesame FOO | GET a
password HELLO 3 AUTH default sesame SETNAME bob | CLIENT GETNAME
password HELLO AUTH default sesame
password AUTH wrong | GET a
password AUTH sesame | GET a | RESET | GET a
password AUTH default sesame | GET a
password AUTH sesame | AUTH wrong | GET a
password AUTH sesame | MULTI | RESET | MULTI
password EXEC
password EXEC x | PING
password WATCH a
password AUTH a b c
password AUTH
`

var (
	talks = flag.Int("conversations", 200, "random conversations to compare with redis-server")
	seed  = flag.Uint64("seed", 0, "of the random conversations; 0 takes one from the clock")
)

// different is what differs from run to run, or on purpose: who the server is
// and the number it gave the client.
var different = regexp.MustCompile(`\$(5\r\nredis|7\r\nquorate)\r\n|\$2\r\nid\r\n:\d+\r\n`)

// TestRandomConversationsAreAnsweredAsRedisDoes puts calls of the conversations
// behind each other as they come.
//
//	go test ./respapi -run TestRandomConversations -conversations=100000 -seed=1
func TestRandomConversationsAreAnsweredAsRedisDoes(t *testing.T) {
	redis := map[bool]string{false: mustRedis(t), true: mustRedis(t, "--requirepass", "sesame")}
	_, open := mustServe(t, respapi.Config{})
	_, closed := mustServe(t, respapi.Config{Password: "sesame"})
	ours := map[bool]string{false: open, true: closed}
	var calls []string
	for line := range strings.Lines(conversations) {
		said, _ := strings.CutPrefix(strings.TrimSpace(line), "password ")
		if said != "" && !strings.HasPrefix(said, "READ") && !strings.HasPrefix(said, "CLUSTER") && said != "ASKING" && said != "DEBUG" {
			calls = append(calls, strings.Split(said, " | ")...) // those are refused before Redis queues them
		}
	}
	if *seed == 0 {
		*seed = uint64(time.Now().UnixNano())
	}
	random := rand.New(rand.NewPCG(*seed, 0))
	for range *talks {
		guarded := random.IntN(4) == 0
		var said []string
		for range 1 + random.IntN(12) {
			call := calls[random.IntN(len(calls))]
			if random.IntN(3) == 0 { // more of what changes what follows
				call = []string{"MULTI", "EXEC", "WATCH r", "SET r 1", "INCR r", "GET r", "DEL r", "HELLO 3", "HELLO 2", "AUTH sesame",
					"CLIENT REPLY SKIP", "CLIENT REPLY ON", "CLIENT REPLY OFF", "RESET", "DISCARD"}[random.IntN(15)]
			}
			said = append(said, call)
		}
		packet := strings.Join(said, "\r\n") + "\r\n"
		got, want := both(t, ours[guarded], redis[guarded], packet)
		if want == "" && guarded && strings.Contains(packet, "RESET") {
			continue // Redis drops all answers of who must say again who he is, when they are over 1 KiB
		}
		if got != want {
			t.Fatalf("%s\nanswered %q\nRedis:   %q\n(password: %v; -seed=%d shows it again)", strings.Join(said, " | "), got, want, guarded, *seed)
		}
	}
}

// both tells both servers the same.
func both(t *testing.T, ours, redis, packet string) (got, want string) {
	t.Helper()
	want = different.ReplaceAllString(exchange(t, redis, packet), "")
	got = different.ReplaceAllString(exchange(t, ours, packet), "")
	return got, want
}

// TestConversationsAreAnsweredAsRedisDoes tells both servers the same and
// compares all that they answer, in RESP2 and, where HELLO says so, in RESP3.
func TestConversationsAreAnsweredAsRedisDoes(t *testing.T) {
	redis := map[bool]string{false: mustRedis(t), true: mustRedis(t, "--requirepass", "sesame")}
	_, open := mustServe(t, respapi.Config{})
	_, closed := mustServe(t, respapi.Config{Password: "sesame"})
	ours := map[bool]string{false: open, true: closed}
	count := 0
	for line := range strings.Lines(conversations) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		count++
		said, guarded := strings.CutPrefix(line, "password ")
		packet := strings.ReplaceAll(said, " | ", "\r\n") + "\r\n"
		got, want := both(t, ours[guarded], redis[guarded], packet)
		if got != want {
			t.Errorf("%s\nanswered %q\nRedis:   %q", line, got, want)
		}
	}
	if count < 200 {
		t.Errorf("%d conversations, want 200 at least", count)
	}
}
