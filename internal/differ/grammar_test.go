package differ

import "strings"

// The language of commands. A template is words: one that is a name of grammar,
// of pools or of drawn is replaced by what it stands for, any other is sent as it
// is. A word that ends in ? is there or not, one that ends in * up to three
// times, one that ends in + once to three times; of a|b|c one is taken.

// weighted is a command, and how often it comes.
type weighted struct {
	weight   int
	template string
}

// onKeys is the commands about keys that may stand in a transaction.
var onKeys = []weighted{
	{12, "GET key"},
	{16, "SET key value setOption*"},
	{10, "SET key value"},
	{3, "SETNX key value"},
	{3, "SETEX key seconds value"},
	{3, "PSETEX key millis value"},
	{3, "GETSET key value"},
	{3, "GETDEL key"},
	{6, "GETEX key getexOption*"},
	{4, "MGET key+"},
	{4, "MSET pair+"},
	{4, "MSETNX pair+"},
	{6, "APPEND key value"},
	{3, "STRLEN key"},
	{6, "GETRANGE key offset offset"},
	{6, "SETRANGE key place value"},
	{6, "INCR key"},
	{6, "INCRBY key int"},
	{3, "DECR key"},
	{4, "DECRBY key int"},
	{6, "INCRBYFLOAT key float"},
	{4, "DEL key+"},
	{2, "UNLINK key+"},
	{3, "EXISTS key+"},
	{2, "TYPE key"},
	{2, "TOUCH key+"},
	{5, "EXPIRE key seconds expireOption*"},
	{4, "PEXPIRE key millis expireOption*"},
	{4, "EXPIREAT key at expireOption*"},
	{4, "PEXPIREAT key atMillis expireOption*"},
	{3, "EXPIREAT key at GT|LT"},
	{2, "PEXPIREAT key atMillis GT|LT"},
	{3, "TTL key"},
	{2, "PTTL key"},
	{2, "EXPIRETIME key"},
	{2, "PEXPIRETIME key"},
	{3, "PERSIST key"},
	{2, "SCAN 0 COUNT 1000 scanOption*"},
	{1, "SCAN cursor scanOption*"},
	{2, "RANDOMKEY"},
	{4, "RENAME key key"},
	{3, "RENAMENX key key"},
	{5, "COPY key key copyOption*"},
	{4, "OBJECT ENCODING key"},
	{2, "OBJECT object"},
}

// alone is the commands that Quorate does not queue, or answers otherwise in a
// transaction, which they would end on one side only.
var alone = []weighted{
	{30, "KEYS pattern"},
	{30, "DBSIZE"},
	{10, "FLUSHALL flushOption*"},
	{10, "FLUSHDB flushOption*"},
	{10, "INFO section*"},
}

// onConnections is the commands about transactions, connections and the server.
var onConnections = []weighted{
	{3, "MULTI"},
	{3, "EXEC"},
	{1, "DISCARD"},
	{2, "WATCH key+"},
	{2, "UNWATCH"},

	{2, "PING word?"},
	{1, "ECHO value"},
	{1, "TIME"},
	{1, "SELECT database"},
	{1, "RESET"},
	{1, "QUIT"},
	{1, "HELLO hello"},
	{1, "AUTH word+"},
	{3, "CLIENT client"},
	{2, "COMMAND command"},
	{1, "CONFIG config"},
	{1, "INFO part+"},
	{1, "WAIT 0|-1|abc 0|1|-1|abc"},
	{1, "unknown value*"},
}

// grammar is what a word may stand for: one of the templates.
var grammar = map[string][]string{
	"pair":         {"key value"},
	"setOption":    {"NX", "XX", "GET", "KEEPTTL", "EX seconds", "PX millis", "EXAT at", "PXAT atMillis", "EX", "word"},
	"getexOption":  {"PERSIST", "EX seconds", "PX millis", "EXAT at", "PXAT atMillis", "PXAT", "word"},
	"expireOption": {"NX", "XX", "GT", "LT", "GT", "LT", "word"},
	"scanOption":   {"MATCH pattern", "MATCH pattern", "COUNT count", "TYPE type", "COUNT", "word"},
	"walkOption":   {"MATCH pattern", "COUNT 1|2|3|10", "TYPE string|STRING|list|nothing"},
	"copyOption":   {"REPLACE", "REPLACE", "DB database", "DB", "word"},
	"flushOption":  {"ASYNC", "SYNC", "word"},
	"object": {"REFCOUNT key", "FREQ key", "IDLETIME key", "HELP", "ENCODING", "ENCODING key key", "HELP word", "word", "word key",
		"FREQ nothing", "IDLETIME nothing", "REFCOUNT nothing"},
	"hello": {"", "2", "3", "1", "4", "abc", "3 SETNAME name", "2 SETNAME name", "3 AUTH default word", "3 AUTH", "3 SETNAME", "3 word"},
	"client": {"ID", "INFO", "LIST", "GETNAME", "SETNAME name", "SETNAME name", "NO-EVICT on|off|ON|maybe", "GETREDIR", "REPLY maybe", "REPLY",
		"KILL ID 999999999", "KILL ID abc", "KILL 127.0.0.1:1", "KILL word word", "KILL TYPE nothing", "KILL ADDR 127.0.0.1:1", "KILL USER nobody",
		"LIST TYPE nothing", "LIST word", "TRACKINGINFO", "HELP", "word", "", "ID word", "GETNAME word",
		"TRACKING maybe", "TRACKING off", "CACHING yes"},
	"command": {"COUNT", "LIST", "LIST FILTERBY PATTERN pattern", "LIST FILTERBY word word", "INFO plain", "INFO plain plain nothing", "DOCS plain",
		"DOCS nothing", "GETKEYS getkeys", "HELP", "word", "COUNT word", "GETKEYS"},
	"getkeys": {"GET key", "SET key value", "MSET pair+", "MGET key+", "DEL key+", "PING", "nothing", "GET", "RENAME key key", "COPY key key",
		"OBJECT ENCODING key", "EXISTS key+", "MSETNX pair+"},
	"config": {"GET parameter+", "GET", "word", "HELP", "RESETSTAT", "RESETSTAT word", "REWRITE word"},
	// What only one of the two has is not sent in a transaction, which it would
	// end on one side only.
	"absent": {"GET empty", "DEL empty", "TTL empty", "RENAME empty key", "CLIENT SETINFO LIB-NAME word", "CLIENT UNPAUSE", "CLIENT UNBLOCK 999999999", "COMMAND GETKEYSANDFLAGS getkeys", "LLEN key", "LRANGE key 0 -1", "HGETALL key", "SMEMBERS key", "ZSCORE key word", "XLEN key", "GETBIT key 0", "BITCOUNT key",
		"LCS key key", "SORT key", "DUMP key", "SUBSTR key offset offset", "PFCOUNT key", "GEOPOS key word", "PUBSUB CHANNELS", "EVAL value 0",
		"SCRIPT EXISTS word", "ROLE", "LATENCY LATEST", "MEMORY DOCTOR", "ACL WHOAMI", "CLUSTER INFO"},
}

// long is values that no encoding of small values holds.
var long = []string{strings.Repeat("x", 44), strings.Repeat("x", 45), strings.Repeat("long ", 300), strings.Repeat("\xff\x00", 40_000)}

// universe is the keys. The names that are drawn more often are here more often.
var universe = []string{"a", "a", "a", "b", "b", "c", "c", "hits", "{t}x", "key:1", "\x00\xff\r\n\"", strings.Repeat("k", 300)}

// pools is the words that are not written in a template.
var pools = map[string][]string{
	"key": universe,
	"value": {
		"", "0", "1", "-1", "10", "7", "42", "-0", "+1", "01", " 1", "1 ", "9223372036854775807", "-9223372036854775808", "9223372036854775806",
		"9223372036854775808", "18446744073709551615", "1e3", "0.1", "3.0", "3.5", "-2.5", "1e20", "inf", "nan", "0x10", "abc", "Hello World",
		"a\x00b", "\xff\xfe\r\n", "\"quoted\"", "ü", long[0], long[1], long[2], long[3],
	},
	"int": {
		"0", "1", "-1", "2", "10", "100", "9223372036854775807", "-9223372036854775808", "-9223372036854775807", "9223372036854775808", "abc", "",
		"1.5", " 1", "1 ", "+1", "01", "-0", "1e3", "0x1",
	},
	"float": {
		"0", "1", "-1", "0.1", "0.2", "3.14", "-2.5", "1e3", "1e10", "5.0e3", "1e17", "1e-5", "1e-17", "1e-18", "1e-400", "1e22", "1e300", "1e308", "1e4000",
		"1e4932", "1e5000", "123456789.123456789", "0.30000000000000004", "1.1", "100.25", "inf", "-inf", "+inf", "infinity", "nan", "abc", "", " 1",
		"1 ", "0x10", "0x1p3", ".5", "5.", "+3", "1e", "9223372036854775807", "1\x00", "-0", "-0.0", "1_0",
	},
	"offset": {
		"0", "1", "2", "3", "5", "-1", "-2", "-3", "-5", "100", "-100", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "abc", "", "1.5",
	},
	"place": {
		"0", "1", "2", "5", "50", "-1", "1048575", "1048576", "1048577", "536870911", "9223372036854775807", "-9223372036854775808", "abc", "", "4294967296",
	},
	"at": {
		"4102444800", "4102444800", "4102444800", "4102444800", "4133980800", "4133980800", "4133980800", "1", "1000000000", "0", "-5", "abc", "", "9223372036854775807", "9223372036854775",
		"9223372036854776", "-9223372036854775808", "99999999999999999999",
	},
	"atMillis": {
		"4102444800000", "4102444800000", "4102444800000", "4133980800000", "4102444800499", "4102444800500", "4133980800000", "4133980800001", "1", "1000000000000", "0", "-1", "abc", "",
		"99999999999999999999", "-9223372036854775808",
	},
	"badSeconds": {"0", "-1", "-100", "abc", "", "1.5", "9223372036854775807", "9223372036854775", "9223372036854776", "-9223372036854775808", "1 "},
	"badMillis":  {"0", "-1", "-100", "abc", "", "1.5", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "+5"},
	"empty":      {""},
	"count":      {"1000", "1000", "0", "-1", "abc", "", "9223372036854775808"},
	"cursor":     {"0 COUNT 0", "abc", "", "-1", "18446744073709551616", "0x0", "1a", " 0"},
	"type":       {"string", "STRING", "list", "nothing", ""},
	"database":   {"0", "0", "1", "-1", "16", "abc", "", "9223372036854775808"},
	// No number above zero: behind EX it would be a time that comes soon.
	"word": {"foo", "bar", "", "NX", "XX", "GT", "EX", "PERSIST", "0", "two words", "\x00"},
	// Not empty: as a key that is one that only Redis takes.
	"surplus": {"foo", "NX", "XX", "GT", "EX", "PERSIST", "0", "two words", "\x00"},
	"name":    {"worker", "other", "", "two words", "a\nb", "\xff"},
	"plain":   {"get", "SET", "incrby", "mget", "ping", "MULTI", "expire", "scan", "copy", "randomkey"},
	"nothing": {"nosuch", "NOSUCH"},
	"unknown": {"GETT", "foo", "", "quorat", "GET ", "SE\x00T", strings.Repeat("n", 200)},
	// Without those that count keys: in a transaction we count at its end.
	"part":      {"server", "clients", "memory", "stats", "replication", "nosuch"},
	"section":   {"server", "clients", "memory", "stats", "replication", "keyspace", "default", "all", "everything", "nosuch", "KEYSPACE"},
	"parameter": {"save", "appendonly", "maxmemory", "databases", "timeout", "*max*", "nosuch", "DATABASES", "maxclients"},
	"glob":      {"*", "?", "a", "b", "k", "h", "[ab]", "[^a]", "[a-c]", "[c-a]", "[a-", "[", "[^", "]", "\\", "\\a", "\\*", "[\\a]", "key:", "\x00", "**", "[]", "{t}x"},
}
