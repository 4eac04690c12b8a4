package cli_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

// Take hands out tickets.
type Take struct {
	Queue string `doc:"which queue"`
	Count int64  `default:"1" doc:"how many tickets"`
}

// Check refuses to hand out nothing.
func (t Take) Check() error {
	if t.Count < 1 {
		return &quorate.Error{Code: quorate.Invalid, Field: "count", Message: "the count must be over 0"}
	}
	return nil
}

var next = quorate.NewCounters("next")

// Apply implements quorate.Command.
func (t Take) Apply(tx *quorate.Tx) (int64, error) {
	if t.Queue == "closed" {
		return 0, quorate.Errorf("sold_out", "there are no tickets for %s", t.Queue)
	}
	return next.Add(tx, t.Queue, t.Count)
}

// Last is a query.
type Last struct{ Queue string }

// Read implements quorate.Query.
func (l Last) Read(view *quorate.View) (int64, error) {
	return next.Value(view, l.Queue), nil
}

// tickets is a service as a user writes one.
var tickets = quorate.Define("tickets",
	quorate.Write[Take]("TAKE", quorate.Doc("Hand out the next tickets of a queue. It prints the last of them.")),
	quorate.Read[Last]("LAST"),
)

// Many has an argument of each form, some with names of other flags.
type Many struct {
	UserName string
	Yes      bool
	Small    int8
	Count    uint16
	Ratio    float64
	Any      quorate.Value
	Wait     time.Duration
	ID       *string `doc:"of the user, which is no call id"`
	Output   *string
	Maybe    *bool
	Raw      []byte        `default:"a \"b\" c"`
	After    time.Duration `default:"90000000000"`
	Tag      []quorate.Value
}

// Apply implements quorate.Command.
func (m Many) Apply(*quorate.Tx) (bool, error) { return true, nil }

// Nothing has no arguments.
type Nothing struct{}

// Apply implements quorate.Command.
func (Nothing) Apply(*quorate.Tx) (quorate.Value, error) { return quorate.Value{}, nil }

// Elsewhere is an operation with the name of one of kv.
type Elsewhere struct{ Name string }

// Apply implements quorate.Command.
func (Elsewhere) Apply(*quorate.Tx) (string, error) { return "", nil }

// Again is the same.
type Again struct {
	Prefix string
	Limit  *int64
}

// Read implements quorate.Query.
func (Again) Read(*quorate.View) (string, error) { return "", nil }

// Status has the name of a command of the program.
type Status struct{ Of string }

// Read implements quorate.Query.
func (Status) Read(*quorate.View) (string, error) { return "", nil }

// odd is a service with names that mean something else to the program.
var odd = quorate.Define("1 odd-service",
	quorate.Write[Many]("MANY"),
	quorate.Write[Nothing]("DO_NOTHING.NOW"),
	quorate.Write[Elsewhere]("PUT"),
	quorate.Read[Again]("SCAN"),
	quorate.Read[Status]("STATUS"),
)

func runOf(t *testing.T, service *quorate.Service, args ...string) result {
	t.Helper()
	var out, log bytes.Buffer
	exit := cli.Run(t.Context(), service, args, strings.NewReader(""), &out, &log)
	return result{exit, out.String(), log.String()}
}

func of(service *quorate.Service) func(*respapi.Config) {
	return func(c *respapi.Config) { c.Service = service }
}

func TestOperationsBindTheirWordsAndFlags(t *testing.T) {
	many := Many{
		UserName: "ada", Yes: true, Small: -8, Count: 2, Ratio: 0.5, Any: values.Int(7), Wait: 90 * time.Second,
		Raw: []byte(`a "b" c`), After: 90 * time.Second,
	}
	with := func(change func(*Many)) Many {
		changed := many
		change(&changed)
		return changed
	}
	flags := []string{"many", "--user-name", "ada", "--yes", "--small", "-8", "--count=2", "--ratio", "0.5", "--any", "7", "--wait", "90s"}
	for _, c := range []struct {
		service *quorate.Service
		args    []string
		want    any
	}{
		{tickets, []string{"take", "visa"}, Take{"visa", 1}},
		{tickets, []string{"take", "--queue", "visa"}, Take{"visa", 1}},
		{tickets, []string{"take", "--queue=visa", "--count", "3"}, Take{"visa", 3}},
		{tickets, []string{"take", "visa", "3"}, Take{"visa", 3}},
		{tickets, []string{"take", "visa", "--count", "3"}, Take{"visa", 3}},
		{tickets, []string{"take", ""}, Take{"", 1}},
		{tickets, []string{"take", "--queue", ""}, Take{"", 1}},
		{tickets, []string{"take", "--queue=-v"}, Take{"-v", 1}},
		{tickets, []string{"take", "--queue", "-5"}, Take{"-5", 1}},
		{tickets, []string{"take", "-5"}, Take{"-5", 1}},
		{tickets, []string{"take", "--", "-v", "2"}, Take{"-v", 2}},
		{tickets, []string{"take", "-", "2"}, Take{"-", 2}},
		{tickets, []string{"take", "@visa"}, Take{"@visa", 1}},
		{tickets, []string{"take", "\xff"}, Take{"\xff", 1}},
		{tickets, []string{"exec", "take", "visa"}, Take{"visa", 1}},
		{tickets, []string{"last", "visa"}, Last{"visa"}},
		{tickets, []string{"txn", `{"then":[{"take":{"queue":"visa"}}]}`}, quorate.Txn{Then: []quorate.Call{{Name: "TAKE", Args: [][]byte{[]byte("visa")}}}}},
		{odd, flags, many},
		{odd, []string{"many", "ada", "true", "-8", "2", "0.5", "7", "1m30s"}, many},
		{odd, []string{"many", "ada", "true", "-8", "2", "0.5", "7", "90000000000"}, many},
		{odd, append(flags, "--arg-id", "u1", "--arg-output", "o"), with(func(m *Many) { id, output := "u1", "o"; m.ID, m.Output = &id, &output })},
		{odd, append(flags, "--maybe=false", "--raw", "\xff"), with(func(m *Many) { no := false; m.Maybe, m.Raw = &no, []byte("\xff") })},
		{odd, append(flags, "--after", "1s", "--tag", "a,b", "--tag", "7"), with(func(m *Many) {
			m.After, m.Tag = time.Second, []quorate.Value{values.Bytes("a,b"), values.Int(7)}
		})},
		{odd, []string{"many", "ada", "true", "1", "2", "3", "x", "1s", "id", "o", "false", "r", "2s", "t", "-7"}, Many{
			"ada", true, 1, 2, 3, values.Bytes("x"), time.Second, ptr("id"), ptr("o"), ptr(false), []byte("r"), 2 * time.Second,
			[]quorate.Value{values.Bytes("t"), values.Int(-7)},
		}},
		{odd, []string{"do-nothing.now"}, Nothing{}},
		{odd, []string{"do_nothing.now"}, Nothing{}},
		{odd, []string{"put", "--name", "n"}, Elsewhere{"n"}},
		{odd, []string{"scan", "p", "5"}, Again{"p", ptr(int64(5))}},
		{odd, []string{"exec", "STATUS", "x"}, Status{"x"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			node := &fake{reply: done}
			addr := mustServe(t, node, of(c.service))
			got := runOf(t, c.service, append(c.args[:1:1], append([]string{"--addr", addr, "-o", "json"}, c.args[1:]...)...)...)
			if got.exit != 0 || got.out != `{"value":1,"index":17}`+"\n" {
				t.Fatalf("exit %d, output %q: %s", got.exit, got.out, got.log)
			}
			sent, want := node.last(t), mustCall(t, c.want)
			op, _ := quorate.Engine().Lookup(c.service, want)
			if sent.Name != op.Name() || !reflect.DeepEqual(whole(t, c.service, sent), whole(t, c.service, want)) {
				t.Errorf("sent %s %q, want %s %q", sent.Name, sent.Args, op.Name(), want.Args)
			}
		})
	}
}

// whole is the arguments of a call once what was left out has its default: Many
// is made of them, and its arguments again.
func whole(t *testing.T, service *quorate.Service, call quorate.Call) [][]byte {
	t.Helper()
	if _, err := quorate.Engine().Check(service, call); err != nil {
		t.Fatal(err)
	}
	op, _ := quorate.Engine().Lookup(service, call)
	args := make([][]byte, max(len(call.Args), len(quorate.Engine().Arguments(op))))
	copy(args, call.Args)
	for i, a := range quorate.Engine().Arguments(op) {
		if args[i] == nil && a.Default.Kind() != values.KindNone {
			args[i] = []byte(a.Default.String())
		}
	}
	return args
}

func TestWhatAnOperationDoesNotTakeIsNamed(t *testing.T) {
	flags := []string{"many", "--user-name", "ada", "--yes", "--small", "-8", "--count=2", "--ratio", "0.5", "--any", "7", "--wait", "90s"}
	for _, c := range []struct {
		service *quorate.Service
		args    []string
		want    string
	}{
		{tickets, []string{"take"}, `{"error":"--queue is missing: give it, or a word in its place: take QUEUE [COUNT]","code":"usage","field":"queue"}`},
		{tickets, []string{"take", "--count", "2"}, `"field":"queue"`},
		{tickets, []string{"take", "visa", "--queue", "visa"}, `{"error":"queue is given twice, as the word \"visa\" and as --queue: leave one of them out","code":"usage","field":"queue"}`},
		{tickets, []string{"take", "a", "2", "--count", "2"}, `count is given twice, as the word \"2\" and as --count`},
		{tickets, []string{"take", "a", "b"}, `{"error":"argument count is \"b\", not an integer","code":"usage","field":"count"}`},
		{tickets, []string{"take", "a", "--count", "99999999999999999999"}, `which does not fit an integer of 64 bits","code":"usage","field":"count"`},
		{tickets, []string{"take", "a", "2", "c"}, "accepts at most 2 arg(s), received 3; usage: cli.test take QUEUE [COUNT] [flags]"},
		{tickets, []string{"take", "a", "0"}, `{"error":"the count must be over 0","code":"invalid","field":"count","outcome":"not_applied"}`},
		{tickets, []string{"exec", "TAKE", "a", "0"}, `{"error":"the count must be over 0","code":"invalid","field":"count","outcome":"not_applied"}`},
		{tickets, []string{"exec", "TAKE"}, `"code":"invalid","field":"queue","outcome":"not_applied"`},
		{tickets, []string{"exec", "TAKE", "a", "b"}, `"code":"usage","field":"count"`},
		{tickets, []string{"txn", `{"then":[{"take":{"count":1}}]}`}, `"code":"usage","field":"then[0].take.queue"`},
		{tickets, []string{"take", "a", "--stale", "1s"}, "unknown flag: --stale"},
		{tickets, []string{"last", "a", "--id", "x"}, "unknown flag: --id"},
		{tickets, []string{"put", "a", "b"}, `unknown command \"put\"`},
		{tickets, []string{"scan"}, `unknown command \"scan\"`},
		{odd, flags[:len(flags)-2], `--wait is missing`},
		{odd, append(flags, "--wait", "soon"), `"field":"wait"`},
		{odd, append(flags, "--yes=perhaps"), `argument yes is \"perhaps\", not a bool`},
		{odd, append(flags, "--small", "128"), `"field":"small"`},
		{odd, append(flags, "--arg-id", "a", "--nonsense"), `unknown flag: --nonsense`},
		{odd, []string{"put"}, "--name is missing: give it, or a word in its place: put NAME"},
		{odd, []string{"do-nothing.now", "x"}, "accepts at most 0 arg(s), received 1"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			// Nothing listens: what is wrong is known before a node is asked.
			got := runOf(t, c.service, append(c.args[:1:1], append([]string{"--addr", nobody(t), "-o", "json"}, c.args[1:]...)...)...)
			if got.exit != 2 || !strings.Contains(got.log, c.want) || strings.Count(got.log, "\n") != 1 || got.out != "" {
				t.Errorf("exit %d, output %q, errors %q, want exit 2 and one line with %q", got.exit, got.out, got.log, c.want)
			}
		})
	}
}

func TestErrorsOfAnOperationAreThoseOfTheProgram(t *testing.T) {
	addr := mustServe(t, memory.New(tickets), of(tickets))
	for _, c := range []struct {
		args []string
		exit int
		out  string
		log  string
	}{
		{[]string{"take", "visa"}, 0, "1\n", ""},
		{[]string{"take", "visa", "4"}, 0, "5\n", ""},
		{[]string{"last", "visa"}, 0, "5\n", ""},
		{[]string{"take", "closed"}, 1, "", "there are no tickets for closed\n"},
		{[]string{"take", "closed", "-o", "json"}, 1, "", `{"error":"there are no tickets for closed","code":"sold_out","outcome":"not_applied"}` + "\n"},
	} {
		got := runOf(t, tickets, append(c.args, "--addr", addr)...)
		if got.exit != c.exit || got.out != c.out || got.log != c.log {
			t.Errorf("%s: exit %d, output %q, errors %q", c.args, got.exit, got.out, got.log)
		}
	}
}

func TestOperationWithTheNameOfACommandIsLeftToExec(t *testing.T) {
	const note = "Only exec calls STATUS: a command of that name does something else."
	for _, args := range [][]string{{"--help"}, {"exec", "--help"}} {
		if got := runOf(t, odd, args...); got.exit != 0 || !strings.Contains(got.out, note) {
			t.Errorf("%s: exit %d, help:\n%s", args, got.exit, got.out)
		}
	}
	if got := runOf(t, odd, "status", "--help"); !strings.Contains(got.out, "members of its cluster") {
		t.Errorf("status is:\n%s", got.out)
	}
}

func TestVariablesAreNamedAfterTheServiceAndAreNoArguments(t *testing.T) {
	node := &fake{reply: done}
	addr := mustServe(t, node, of(tickets))
	t.Setenv("QUORATE_ADDR", nobody(t)) // that of another program
	t.Setenv("TICKETS_ADDR", addr)
	t.Setenv("TICKETS_OUTPUT", "json")
	t.Setenv("TICKETS_QUEUE", "visa")
	if got := runOf(t, tickets, "take", "car"); got.exit != 0 || string(node.last(t).Args[0]) != "car" || got.out != `{"value":1,"index":17}`+"\n" {
		t.Errorf("exit %d, output %q: %s", got.exit, got.out, got.log)
	}
	if got := runOf(t, tickets, "take"); got.exit != 2 || !strings.HasPrefix(got.log, `{"error":"--queue is missing`) {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
	}
	t.Setenv("_1_ODD_SERVICE_TIMEOUT", "soon")
	if got := runOf(t, odd, "put", "n"); got.exit != 2 || !strings.Contains(got.log, `_1_ODD_SERVICE_TIMEOUT is "soon"`) {
		t.Errorf("exit %d, errors %q", got.exit, got.log)
	}
}
