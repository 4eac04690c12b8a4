package differ

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/resp"
)

// cameAndWent is the rule for a transaction that Quorate runs, and Redis does
// not. The trial knows when, and it ends there: from then on they hold different
// keys.
const cameAndWent = "a key that came and went"

// differences is what Quorate answers otherwise than Redis on purpose. Each is
// told to users in docs/REDIS.md.
var differences = []rule{
	{
		name: cameAndWent, intended: true, rare: true,
		why:      "a watched key that was missing and is missing has not changed, though it was there in between",
		commands: []string{"EXEC"},
		same:     func(call, resp.Value, resp.Value) bool { return false },
	},
	{
		name: "WAIT does not wait", intended: true,
		why:      "every write that was answered is on a majority already, so the answer is how many others surely have it",
		commands: []string{"WAIT"},
		same: func(_ call, redis, ours resp.Value) bool {
			return redis.Kind() == resp.Int && ours.Kind() == resp.Int && ours.Int() == clusterSize/2
		},
	},
	{
		name: "what is not there says so", intended: true,
		why: "a command for lists, hashes, sets and what else there is not is refused with a sentence, whatever its arguments",
		commands: []string{
			"LLEN", "LRANGE", "HGETALL", "SMEMBERS", "ZSCORE", "XLEN", "GETBIT", "BITCOUNT", "LCS", "SORT", "DUMP", "SUBSTR", "PFCOUNT", "GEOPOS",
			"PUBSUB", "EVAL", "SCRIPT", "ROLE", "LATENCY", "MEMORY", "ACL",
		},
		same: func(_ call, _, ours resp.Value) bool {
			return strings.HasPrefix(ours.Text(), "ERR this server has no ")
		},
	},
	{
		name: "the empty key", intended: true,
		why:      "a key has at least one byte",
		commands: []string{"GET", "DEL", "TTL", "RENAME"},
		same: func(c call, _, ours resp.Value) bool {
			return slices.Contains(c.args, "") && ours.Text() == "ERR the key is empty"
		},
	},
	{
		name: "not in a transaction", intended: true,
		why:      "a command that is more than one call in the log cannot be part of one",
		commands: []string{"KEYS", "DBSIZE", "FLUSHALL", "FLUSHDB"},
		same: func(_ call, redis, ours resp.Value) bool {
			return redis.Text() == "QUEUED" && ours.Text() == "ERR Command not allowed inside a transaction"
		},
	},
	{
		name: "INFO keyspace", intended: true, rare: true,
		why:      "keys are counted now and then, so the counts may be of a moment ago",
		commands: []string{"INFO"},
		same: func(_ call, redis, ours resp.Value) bool {
			uncounted := func(line string) bool { return strings.HasPrefix(line, "db") }
			return redis.Kind() == ours.Kind() && redis.Format() == ours.Format() && slices.Equal(
				slices.DeleteFunc(told(redis.Text()), uncounted), slices.DeleteFunc(told(ours.Text()), uncounted))
		},
	},
	{
		name: "nothing is idle", intended: true, rare: true,
		why:      "when a key was last read is not kept, so it is always 0 seconds ago",
		commands: []string{"OBJECT IDLETIME"},
		same: func(_ call, redis, ours resp.Value) bool {
			return redis.Int() > 0 && ours.Kind() == resp.Int && ours.Int() == 0
		},
	},
	{
		name: "the last moment", intended: true,
		why:      "time ends in the year 2262, when nanoseconds no longer fit 64 bits; what is later ends then",
		commands: []string{"TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"},
		same: func(c call, redis, ours resp.Value) bool {
			each, now := int64(time.Second), int64(0)
			if strings.HasPrefix(c.name(), "P") {
				each = int64(time.Millisecond)
			}
			if strings.HasSuffix(c.name(), "TTL") {
				now = time.Now().UnixNano() / each
			}
			last := math.MaxInt64/each - now
			return redis.Int() > last && near(resp.IntValue(last), ours, skew(each == int64(time.Millisecond)))
		},
	},
	{
		name: "the longest string", intended: true,
		why:      "it is 1 MiB, and the error says so",
		commands: []string{"SETRANGE", "APPEND"},
		same: func(_ call, redis, ours resp.Value) bool {
			return strings.HasPrefix(redis.Text(), "ERR string exceeds maximum allowed size") &&
				strings.HasPrefix(ours.Text(), "ERR the string would be longer than the limit of ")
		},
	},
	{
		name: "the encoding is that of the value", intended: true,
		why:      "nothing is encoded here; the answer is what Redis has for such a value that was SET, and not how it came to be",
		commands: []string{"OBJECT ENCODING", "OBJECT REFCOUNT"},
		same: func(_ call, redis, ours resp.Value) bool {
			// What is a small integer is shared, and counted so.
			counts := []int64{1, math.MaxInt32}
			if slices.Contains(counts, redis.Int()) && slices.Contains(counts, ours.Int()) {
				return true
			}
			names := []string{"int", "embstr", "raw"}
			return slices.Contains(names, redis.Text()) && slices.Contains(names, ours.Text())
		},
	},
	{
		name: "subcommands that are not there", intended: true,
		why:      "what would do nothing here is unknown",
		commands: []string{"CLIENT UNPAUSE", "CLIENT UNBLOCK", "COMMAND GETKEYSANDFLAGS"},
		same: func(_ call, _, ours resp.Value) bool {
			return strings.HasPrefix(ours.Text(), "ERR unknown subcommand")
		},
	},
	{
		name: "HELP tells of what is there", intended: true,
		why:      "a text of Redis would promise what there is not",
		commands: []string{"CLIENT HELP", "COMMAND HELP", "CONFIG HELP", "OBJECT HELP"},
		same: func(_ call, redis, ours resp.Value) bool {
			return redis.Kind() == resp.Array && ours.Kind() == resp.Array && redis.List()[0].Equal(ours.List()[0])
		},
	},
	{
		name: "each node lists its own clients", intended: true,
		why:      "nodes do not know the clients of each other",
		commands: []string{"CLIENT LIST"},
		same: func(_ call, redis, ours resp.Value) bool {
			own, all := clients(ours.Text()), clients(redis.Text())
			for _, line := range own {
				if !slices.Contains(all, line) {
					return false
				}
			}
			return redis.Kind() == ours.Kind() && len(own) > 0
		},
	},
	{
		name: "who is greeted by what", intended: true,
		why:      "the server says that it is quorate; everything else in the greeting is as in Redis",
		commands: []string{"HELLO"},
		same: func(_ call, redis, ours resp.Value) bool {
			return greeting(redis, "id", "server", "version").Equal(greeting(ours, "id", "server", "version"))
		},
	},
	{
		name: "settings are our own", intended: true,
		why:      "a setting that means nothing here is not shown, and what is shown is true of this server",
		commands: []string{"CONFIG GET"},
		same: func(_ call, redis, ours resp.Value) bool {
			theirs := settings(redis)
			for name := range settings(ours) {
				if _, known := theirs[name]; !known {
					return false
				}
			}
			return redis.Kind() == ours.Kind()
		},
	},
	{
		name: "commands are our own", intended: true,
		why:      "what is not there is not told of, and what is there beside Redis is",
		commands: []string{"COMMAND COUNT", "COMMAND LIST"},
		same: func(_ call, redis, ours resp.Value) bool {
			return redis.Kind() == ours.Kind() && !redis.IsError()
		},
	},
	{
		name: "SETINFO of a newer Redis", intended: true,
		why:      "client libraries send it with each connection",
		commands: []string{"CLIENT SETINFO"},
		same: func(_ call, _, ours resp.Value) bool {
			return ours.Kind() == resp.Simple && ours.Text() == "OK" || strings.HasPrefix(ours.Text(), "ERR lib-name cannot contain")
		},
	},
	{
		name: "a cursor is one that was given", intended: true,
		why:      "a walk goes on where a page ended, and a cursor that no page gave has no such place",
		commands: []string{"SCAN"},
		same: func(c call, redis, ours resp.Value) bool {
			return len(redis.List()) == 2 && !slices.Contains(c.args, "0") && ours.Text() == "ERR invalid cursor"
		},
	},
}
