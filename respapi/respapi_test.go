package respapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/respapi"
)

func TestOperationsAreCallableByTheirNames(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c := mustDial(t, address)
	c.send("HELLO 3")
	c.read()
	for _, tt := range [][2]string{
		{"put a 1", "$1 1"},
		{"TAKE a", "$1 1"},
		{"Take b", "_"},
		{"forms none", "_"},
		{"forms bool", "#t"},
		{"forms int", ":-7"},
		{"forms uint", ":7"},
		{"forms big", "(18446744073709551615"},
		{"forms float", ",0.5"},
		{"forms list", "*2 :1 $1 a"},
		{"forms map", "%1 $1 a :1"},
		{"forms wrong_type", "-WRONGTYPE it is wrong_type"},
		{"forms conflict", "-ERR it is conflict"},
		{"forms unavailable", "-TRYAGAIN it is unavailable"},
		{"forms", `-ERR argument 1 of 1, Kind, is missing: FORMS takes Kind (string)`},
		{"TXN [", "-ERR "},
		{`TXN '{"then":[{"inc":{"key":"n"}}]}'`, "%2 $4 held #t $7 results *1 %1 $5 value :1"},
	} {
		got := c.do(tt[0])
		if got != tt[1] && !(strings.HasPrefix(tt[1], "-ERR") && strings.HasPrefix(got, "-ERR ")) {
			t.Errorf("%s: answered %s, want %s", tt[0], got, tt[1])
		}
	}
	c.send("HELLO 2")
	c.read()
	for _, tt := range [][2]string{{"forms bool", ":1"}, {"forms big", "$20 18446744073709551615"}, {"forms map", "*2 $1 a :1"}} {
		c.mustAnswer(tt[0], tt[1])
	}
}

func TestFailureSaysWhetherTheCallMayHaveTakenEffect(t *testing.T) {
	unknown := func(code quorate.Code) error {
		return &quorate.Error{Code: code, Message: "m", Outcome: quorate.Unknown}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{quorate.Errorf(quorate.Unavailable, "m"), "-TRYAGAIN m"},
		{quorate.Errorf(quorate.Overloaded, "m"), "-TRYAGAIN m"},
		{quorate.Errorf(quorate.TooOld, "m"), "-STALE m"},
		{quorate.Errorf(quorate.IDReused, "m"), "-IDREUSED m"},
		{quorate.Errorf(quorate.WrongType, "m"), "-WRONGTYPE m"},
		{quorate.Errorf(quorate.Invalid, "m"), "-ERR m"},
		{quorate.Errorf(quorate.NotFound, "m"), "-ERR m"},
		{quorate.Errorf("of_its_own", "m"), "-ERR m"},
		{quorate.Errorf(quorate.Internal, "m"), "-ERR internal: m"},
		{quorate.Errorf(quorate.Panicked, "m"), "-ERR internal: m"},
		{unknown(quorate.Unavailable), "-UNKNOWN m"},
		{unknown(quorate.Overloaded), "-UNKNOWN m"},
		{unknown(quorate.Internal), "-UNKNOWN internal: m"},
		{unknown(quorate.TooOld), "-UNKNOWN m"},
		{fmt.Errorf("wrapped: %w", unknown(quorate.Unavailable)), "-UNKNOWN m"},
		{errors.New("secret"), "-UNKNOWN internal: the node is at fault; its log says why"},
		{&respapi.Refusal{Prefix: "ERR", Text: "syntax\r\nerror"}, "-ERR syntax  error"},
	} {
		if got := show(respapi.Failure(tt.err)); got != tt.want {
			t.Errorf("%v is %s, want %s", tt.err, got, tt.want)
		}
	}
}

// asked is an executor that notes each slice it is asked for. Its fields may be
// touched only while it is not asked.
type asked struct {
	on     quorate.Executor
	mu     sync.Mutex // guards what follows
	slices [][]quorate.Call
	// at is how many slices are under way, most how many there were at once.
	at, most int
}

func (a *asked) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	a.mu.Lock()
	a.slices = append(a.slices, calls)
	a.at++
	a.most = max(a.most, a.at)
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.at--
	}()
	return a.on.Execute(ctx, calls)
}

func TestPipelineGoesDownAsOneExecute(t *testing.T) {
	on := &asked{on: memory.New(notes)}
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	c.send("SET a 1", "INCR a", "take a", "SET a b c", "GET a", "PING", "GET a", "GET b")
	for _, want := range []string{"+OK", ":2", "$1 2", "-ERR syntax error", "$1 2", "+PONG", "$1 2", "_"} {
		if got := show(c.read()); got != want {
			t.Errorf("answered %s, want %s", got, want)
		}
	}
	var sizes []int
	for _, calls := range on.slices {
		sizes = append(sizes, len(calls))
	}
	if fmt.Sprint(sizes) != "[4 2]" {
		t.Errorf("it went down in slices of %v, want [4 2]", sizes)
	}
}

func TestPortionsGrowAsLongAsAnswersAreSmall(t *testing.T) {
	on := &asked{on: memory.New(notes)}
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	c.call("SET", "large", strings.Repeat("x", 8<<10))
	c.read()
	one := "GET small"
	for _, most := range []int{1024, 64} {
		on.slices = nil
		for range 4 {
			c.send(strings.TrimSuffix(strings.Repeat(one+"\r\n", 1024), "\r\n"))
			for range 1024 {
				c.read()
			}
		}
		largest := 0
		for i, calls := range on.slices {
			if i > 0 { // the first one is as the answers before it allow
				largest = max(largest, len(calls))
			}
		}
		// A pipeline may arrive in pieces, so that few of them are whole.
		if largest > most || most == 1024 && largest < 100 {
			t.Errorf("%s: the largest of %d slices has %d calls, want %d", one, len(on.slices), largest, most)
		}
		one = "GET large"
	}
}

func TestOnceTakesEffectOnce(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c := mustDial(t, address)
	for _, tt := range [][2]string{
		{"ONCE i1 INCR n", ":1"},
		{"ONCE i1 INCR n", ":1"},
		{"once i2 incr n", ":2"},
		{"ONCE i1 INCR n", ":1"},
		{"ONCE i3 GET n", "$1 2"},
		{"INCR n", ":3"},
		{"ONCE i3 GET n", "$1 3"}, // a query has no effect to remember
		{"ONCE i4 inc n", ":4"},
		{"ONCE i4 inc n", ":4"},
		{"ONCE", "-ERR wrong number of arguments for 'once' command"},
		{"ONCE a", "-ERR wrong number of arguments for 'once' command"},
		{"ONCE a b", "-ERR unknown command 'b', with args beginning with: "},
		{`ONCE "" INCR n`, "-ERR an id has 0 bytes, not 1 to 96"},
		{"ONCE " + strings.Repeat("i", 97) + " INCR n", "-ERR an id has 97 bytes, not 1 to 96"},
		{"ONCE a ONCE b INCR n", "-ERR ONCE stands there twice"},
		{"ONCE a ONCE INCR n", "-ERR ONCE stands there twice"},
		{"ONCE a ONCE b c d", "-ERR ONCE stands there twice"},
		{"ONCE a FOO b", "-ERR unknown command 'FOO', with args beginning with: 'b' "},
		{"ONCE a INCR n m", "-ERR wrong number of arguments for 'incr' command"},
		{"ONCE a PING x", "-ERR ONCE and STALE stand before a command that is one call, and ping is not"},
		{"ONCE a MGET n", "-ERR ONCE and STALE stand before a command that is one call, and mget is not"},
		{"GET n", "$1 4"},
	} {
		if got := c.do(tt[0]); got != strings.TrimSpace(tt[1]) {
			t.Errorf("%.80s: answered %s, want %s", tt[0], got, tt[1])
		}
	}
}

func TestStaleSaysWhatAgeTheReadTolerates(t *testing.T) {
	on := memory.New(notes)
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	for _, tt := range [][2]string{
		{"STALE 500 GET a", "_"},
		{"ONCE i STALE 3600000 take a", "_"},
		{"STALE 1 ONCE i GET a", "_"},
		{"STALE 500 INCR a", "-ERR incr writes: STALE is for commands that read"},
		{"STALE 0 GET a", "-ERR an age is a number of milliseconds from 1 to 3600000"},
		{"STALE 3600001 GET a", "-ERR an age is a number of milliseconds from 1 to 3600000"},
		{"STALE x GET a", "-ERR an age is a number of milliseconds from 1 to 3600000"},
		{"STALE 1 STALE 2 GET a", "-ERR STALE stands there twice"},
		{"STALE 5 EXEC x", "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command"},
	} {
		if got := c.do(tt[0]); got != tt[1] && !strings.HasPrefix(tt[0], "STALE 5 ") {
			t.Errorf("%s: answered %s, want %s", tt[0], got, tt[1])
		}
	}
	var ages []time.Duration
	for _, call := range on.Calls {
		ages = append(ages, time.Duration(call.Read))
	}
	if fmt.Sprint(ages) != "[500ms 1h0m0s 1ms]" {
		t.Errorf("the ages are %v", ages)
	}
}

// leaderless is a node that does not know of a leader: it answers what only
// tolerates age, and nothing of a slice that asks for more.
func leaderless() *asked {
	state := memory.New(notes)
	return &asked{on: memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
		if slices.ContainsFunc(calls, func(call quorate.Call) bool { return call.Read == 0 }) {
			replies := make([]quorate.Reply, len(calls))
			for i := range replies {
				replies[i].Err = quorate.Errorf(quorate.Unavailable, "there is no leader")
			}
			return replies
		}
		return state.Execute(ctx, calls)
	})}
}

// shapes tells of each slice how many calls it has and what age they tolerate.
func (a *asked) shapes(t *testing.T) (all []string) {
	t.Helper()
	for _, calls := range a.slices {
		for _, call := range calls {
			if call.Read != calls[0].Read {
				t.Errorf("one slice has calls that tolerate %v and %v", time.Duration(calls[0].Read), time.Duration(call.Read))
			}
		}
		all = append(all, fmt.Sprintf("%d of %v", len(calls), time.Duration(calls[0].Read)))
	}
	return all
}

func TestStaleIsNotHeldToWhatStandsBesideIt(t *testing.T) {
	on := leaderless()
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	c.send("STALE 500 GET a", "STALE 500 take a", "GET a", "INCR a", "STALE 500 GET a", "STALE 9 GET a", "STALE 9 GET a", "SET a 1")
	for i, want := range []string{"_", "_", "-TRYAGAIN there is no leader", "-TRYAGAIN there is no leader", "_", "_", "_", "-TRYAGAIN there is no leader"} {
		if got := show(c.read()); got != want {
			t.Errorf("answer %d is %s, want %s", i, got, want)
		}
	}
	// In their order: they are of one client.
	if got := fmt.Sprint(on.shapes(t)); got != "[2 of 500ms 2 of 0s 1 of 500ms 2 of 9ms 1 of 0s]" {
		t.Errorf("it went down as %s", got)
	}
}

func TestOnceBeforeExecMakesTheTransactionTakeEffectOnce(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	for range 2 { // as a client does that has lost its connection
		c := mustDial(t, address)
		for _, tt := range [][2]string{
			{"MULTI", "+OK"}, {"INCR n", "+QUEUED"}, {"INCR n", "+QUEUED"}, {"ONCE t1 EXEC", "*2 :1 :2"}, {"GET n", "$1 2"},
			{"MULTI", "+OK"}, {"ONCE i INCR n", "-ERR between MULTI and EXEC there is no ONCE and no STALE: ONCE may stand before EXEC"},
			{"EXEC", "-EXECABORT Transaction discarded because of previous errors."},
			{"WATCH n", "+OK"}, {"MULTI", "+OK"}, {"ONCE t2 EXEC", "-ERR ONCE and WATCH do not go together"}, {"EXEC", "-ERR EXEC without MULTI"},
			{"MULTI", "+OK"}, {"STALE 5 EXEC", "-ERR ONCE and STALE stand before a command that is one call, and exec is not"}, {"DISCARD", "+OK"},
		} {
			c.mustAnswer(tt[0], tt[1])
		}
	}
}

func TestTransactionIsOneCall(t *testing.T) {
	on := memory.New(notes)
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	c.mustAnswer("SET text x", "+OK")
	on.Calls = nil
	for _, tt := range [][2]string{
		{"MULTI", "+OK"}, {"SET a 1", "+QUEUED"}, {"INCR text", "+QUEUED"}, {"PING", "+QUEUED"}, {"SET b", "-ERR wrong number of arguments for 'set' command"},
		{"EXEC", "-EXECABORT Transaction discarded because of previous errors."}, {"GET a", "_"},
		{"MULTI", "+OK"}, {"MGET a", "-ERR Command not allowed inside a transaction"}, {"DISCARD", "+OK"},
		{"MULTI", "+OK"}, {"QUORATE EXECUTE 1 x", "-ERR Command not allowed inside a transaction"}, {"DISCARD", "+OK"},
		{"MULTI", "+OK"}, {"LPUSH a 1", "-ERR this server has no lists: it keeps strings and counters"},
		{"EXEC", "-EXECABORT Transaction discarded because of previous errors."},
		{"MULTI", "+OK"}, {"SET a 1", "+QUEUED"}, {"INCR text", "+QUEUED"}, {"ECHO e", "+QUEUED"}, {"take a", "+QUEUED"}, {"take none", "+QUEUED"}, {"boom", "+QUEUED"},
		{"EXEC", "*6 +OK -ERR value is not an integer or out of range $1 e $1 1 _ -ERR internal: BOOM panicked; the log of the node says why"},
	} {
		if got := c.do(tt[0]); got != tt[1] && !(strings.HasPrefix(tt[1], "*6 ") && strings.HasPrefix(got, tt[1][:75])) {
			t.Fatalf("%s: answered %s, want %s", tt[0], got, tt[1])
		}
	}
	if len(on.Calls) != 2 || on.Calls[1].Name != "TXN" {
		t.Errorf("%d calls came down, want GET and one TXN: %+v", len(on.Calls), on.Calls)
	}
}

func TestTransactionIsNotRunIfAWatchedKeyHasChanged(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c, other := mustDial(t, address), mustDial(t, address)
	for _, tt := range []struct{ before, changes, after, want string }{
		{"WATCH k", "SET k 1", "", "_"},
		{"WATCH k", "SET k 1", "", "_"}, // to what it was
		{"WATCH k none", "GET k", "", "*1 $1 1"},
		{"WATCH k none", "INCR none", "", "_"},
		{"WATCH k", "DEL k", "", "_"},
		{"WATCH k", "DEL k", "", "*1 _"},
		{"UNWATCH", "SET k 1", "", "*1 $1 1"},
		{"WATCH k", "SET k 2", "UNWATCH", "*1 $1 2"},
		{"WATCH k", "SET k 3", "RESET", "*1 $1 3"},
		{"WATCH k", "SET k 4", "DISCARD", "*1 $1 4"},
	} {
		c.do(tt.before)
		other.do(tt.changes)
		if tt.after != "" {
			c.do("MULTI")
			c.do("DISCARD")
			c.do(tt.after)
		}
		c.mustAnswer("MULTI", "+OK")
		c.mustAnswer("GET k", "+QUEUED")
		if got := c.do("EXEC"); got != tt.want {
			t.Errorf("%+v: EXEC is answered %s", tt, got)
		}
	}
}

func TestTransactionIsBounded(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c := mustDial(t, address)
	c.mustAnswer("MULTI", "+OK")
	half := strings.Repeat("x", 600<<10)
	c.call("SET", "a", half)
	if got := show(c.read()); got != "+QUEUED" {
		t.Fatal(got)
	}
	c.call("SET", "b", half)
	if got := show(c.read()); got != "-ERR the transaction is over the limit of 1048576 bytes, 131072 arguments or 16384 commands" {
		t.Fatal(got)
	}
	c.mustAnswer("PING", "-ERR the transaction is over the limit of 1048576 bytes, 131072 arguments or 16384 commands")
	c.mustAnswer("EXEC", "-EXECABORT Transaction discarded because of previous errors.")
	keys := make([]string, 1025)
	for i := range keys {
		keys[i] = fmt.Sprint("k", i)
	}
	c.call("WATCH", keys...)
	if got := show(c.read()); got != "-ERR more than 1024 keys cannot be watched" {
		t.Fatal(got)
	}
}

func TestEmptyArgumentsThatWaitForExecAreBounded(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c := mustDial(t, address)
	const arguments = 60_000
	empty := callBytes("DEL", make([]string, arguments)...)
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	c.mustAnswer("MULTI", "+OK")
	before := heap()
	queued := 0
	for ; queued < 20; queued++ {
		if _, err := c.Write(empty); err != nil {
			t.Fatal(err)
		}
		if got := show(c.read()); got != "+QUEUED" {
			break
		}
	}
	if queued != 2 {
		t.Errorf("%d commands of %d empty arguments wait, which hold %d MiB, want 2", queued, arguments, (heap()-before)>>20)
	}
	c.mustAnswer("EXEC", "-EXECABORT Transaction discarded because of previous errors.")
	// As many small commands as there may be do not come near that.
	c.mustAnswer("MULTI", "+OK")
	for range 16 {
		if _, err := c.Write(bytes.Repeat(callBytes("SET", "k", ""), 1024)); err != nil {
			t.Fatal(err)
		}
		for range 1024 {
			if got := show(c.read()); got != "+QUEUED" {
				t.Fatal(got)
			}
		}
	}
	c.mustAnswer("SET k v", "-ERR the transaction is over the limit of 1048576 bytes, 131072 arguments or 16384 commands")
}

func TestWhatWaitsForExecIsKeptAsItWasSent(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c := mustDial(t, address)
	c.mustAnswer("MULTI", "+OK")
	for _, line := range []string{`SET a ""`, "SET bb ccc", "ECHO dddd", "ECHO ''", "take a", "take bb"} {
		c.mustAnswer(line, "+QUEUED")
	}
	c.mustAnswer("EXEC", "*6 +OK +OK $4 dddd $0  $0  $3 ccc")
}

func TestWatchFailsWhereTheNodeDoes(t *testing.T) {
	err := &quorate.Error{Code: quorate.Unavailable, Message: "no leader", Outcome: quorate.Unknown}
	on := memory.Func(func(_ context.Context, calls []quorate.Call) []quorate.Reply {
		replies := make([]quorate.Reply, len(calls))
		for i := range replies {
			replies[i].Err = err
		}
		return replies
	})
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	// A query changes nothing: its outcome is known.
	c.mustAnswer("WATCH a", "-TRYAGAIN no leader")
	c.mustAnswer("GET a", "-TRYAGAIN no leader")
	c.mustAnswer("SET a 1", "-UNKNOWN no leader")
	c.mustAnswer("MULTI", "+OK")
	c.mustAnswer("SET a 1", "+QUEUED")
	c.mustAnswer("EXEC", "-UNKNOWN no leader")
}

func TestStatusIsToldAsJSONAndInInfo(t *testing.T) {
	type status struct {
		ID    string   `json:"id"`
		Term  int      `json:"term"`
		Nodes []string `json:"nodes"`
	}
	_, address := mustServe(t, respapi.Config{
		Status:  func(context.Context) any { return status{"n1\r\nrole:x", 7, []string{"a", "b"}} },
		Voters:  func() int { return 5 },
		Version: "1.2.3",
	})
	c := mustDial(t, address)
	c.send("QUORATE STATUS")
	var got status
	if err := json.Unmarshal([]byte(c.read().Text()), &got); err != nil || got.Term != 7 {
		t.Errorf("status %+v, %v", got, err)
	}
	c.mustAnswer("WAIT 9 100", ":2")
	c.send("INFO")
	all := c.read().Text()
	for _, want := range []string{
		"# Server\r\nredis_version:7.0.15\r\n", "\r\nquorate_version:1.2.3\r\n", "\r\n\r\n# Clients\r\nconnected_clients:1\r\n", "# Memory\r\nused_memory:",
		"# Stats\r\n", "# Replication\r\nrole:master\r\n", "# Keyspace\r\ndb0:keys=5,expires=2,avg_ttl=0\r\n",
		"# Quorate\r\nid:n1  role:x\r\nnodes:2\r\nterm:7\r\n",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("INFO lacks %q:\n%s", want, all)
		}
	}
	if strings.Contains(all, "# Cpu") {
		t.Error("INFO has more than the default sections")
	}
	c.send("INFO everything")
	if text := c.read().Text(); !strings.Contains(text, "# Cpu") || !strings.Contains(text, "# Server") {
		t.Errorf("INFO everything:\n%s", text)
	}
	c.send("INFO keyspace QUORATE")
	if text := c.read().Text(); !strings.HasPrefix(text, "# Keyspace\r\ndb0:") || !strings.Contains(text, "\r\n\r\n# Quorate\r\n") || strings.Contains(text, "Server") {
		t.Errorf("INFO keyspace quorate:\n%s", text)
	}
	c.send("HELLO 3")
	c.read()
	c.send("INFO replication")
	if v := c.read(); v.Kind() != resp.Verbatim {
		t.Errorf("INFO is %v in RESP3", v.Kind())
	}
}

func TestWhatIsNotThereSaysSo(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c := mustDial(t, address)
	for _, tt := range [][2]string{
		{"LPUSH a b", "-ERR this server has no lists: it keeps strings and counters"},
		{"hset a b c", "-ERR this server has no hashes: it keeps strings and counters"},
		{"ZADD", "-ERR this server has no sorted sets: it keeps strings and counters"},
		{"EVAL x 0", "-ERR this server has no scripts or functions: it keeps strings and counters"},
		{"SUBSCRIBE c", "-ERR this server has no channels: it keeps strings and counters"},
		{"SAVE", "-ERR this server has no SAVE: it keeps strings and counters"},
		{"CLIENT TRACKING ON OPTIN", "-ERR this server has no client-side caching: it does not tell clients which keys have changed"},
		{"QUORATE STATUS", "-ERR this server has no status to tell"},
		{"DEBUG SLEEP 0", "-ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP."},
		{"COMMAND INFO lpush save debug foo", "*4 _ _ _ _"},
		{"CLIENT SETINFO LIB-NAME go", "+OK"},
		{"CLIENT SETINFO lib-ver 1", "+OK"},
		{"CLIENT SETINFO lib-foo 1", "-ERR Unrecognized option 'lib-foo'"},
		{`CLIENT SETINFO lib-ver "a b"`, "-ERR lib-ver cannot contain spaces, newlines or special characters."},
	} {
		if debugBuild && strings.HasPrefix(tt[0], "DEBUG") || debugBuild && strings.Contains(tt[0], "debug") {
			continue
		}
		c.mustAnswer(tt[0], tt[1])
	}
}

func TestCommandTellsOfAllThereIs(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c := mustDial(t, address)
	c.send("COMMAND COUNT", "COMMAND LIST", "COMMAND", "COMMAND INFO", "COMMAND DOCS")
	count, list, all, infos, docs := c.read().Int(), c.read().List(), c.read().List(), c.read().List(), c.read().List()
	if int(count) != len(list) || len(list) != len(all) || len(all) != len(infos) || 2*len(infos) != len(docs) {
		t.Fatalf("%d, %d, %d, %d, %d", count, len(list), len(all), len(infos), len(docs))
	}
	names := make(map[string]bool)
	for i, name := range list {
		names[name.Text()] = true
		if info := all[i].List(); len(info) != 10 || info[0].Text() != name.Text() {
			t.Errorf("%s: COMMAND tells %s", name.Text(), show(all[i]))
		}
		if text := docs[2*i+1].List(); len(text) < 6 || text[0].Text() != "summary" || text[1].Text() == "" {
			t.Errorf("%s: COMMAND DOCS tells %s", name.Text(), show(docs[2*i+1]))
		}
	}
	for _, name := range []string{"get", "put", "txn", "ping", "client", "quorate", "once", "stale", "watch"} {
		if !names[name] {
			t.Errorf("COMMAND LIST lacks %s", name)
		}
	}
	for _, sub := range []string{"client|tracking", "client|pause", "config|set", "command|getkeysandflags"} {
		c.mustAnswer("COMMAND INFO "+sub, "*1 _")
		c.mustAnswer("COMMAND DOCS "+sub, "*0")
	}
	c.send("CLIENT HELP")
	if help := c.read().List(); len(help) < 10 || !strings.HasPrefix(help[0].Text(), "CLIENT <subcommand>") {
		t.Errorf("CLIENT HELP: %v", help)
	}
}

func TestServiceWithoutATableHasItsOperations(t *testing.T) {
	server := respapi.New(respapi.Config{Service: notes, Executor: memory.New(notes)})
	if server.Addr() != nil {
		t.Error("it has an address before it serves")
	}
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}
