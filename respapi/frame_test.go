package respapi_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

// frameOf is QUORATE EXECUTE of calls.
func frameOf(calls ...quorate.Call) []byte {
	return callBytes("QUORATE", "EXECUTE", "5000", string(entry.AppendCalls(nil, calls)))
}

func args(list ...string) (all [][]byte) {
	for _, arg := range list {
		all = append(all, []byte(arg))
	}
	return all
}

func TestFramesAreRunTogetherAndAnsweredInOrder(t *testing.T) {
	on := memory.New(notes)
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	get := quorate.Call{Name: "TAKE", Args: args("n")}
	inc := quorate.Call{Name: "INC", Args: args("n"), ID: "i"}
	var packet []byte
	for _, frame := range [][]byte{
		frameOf(inc, inc), frameOf(), frameOf(inc, get), callBytes("QUORATE", "EXECUTE", "1", "\xff"), frameOf(inc), callBytes("PING"), frameOf(get),
	} {
		packet = append(packet, frame...)
	}
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"1 2", "", "3 3", "-ERR the calls of the frame cannot be read: the bytes end too early", "4", "+PONG", "4"} {
		v := c.read()
		if v.Kind() != resp.Bulk {
			if show(v) != want {
				t.Errorf("answer %d is %s, want %s", i, show(v), want)
			}
			continue
		}
		replies, err := entry.ReadReplies([]byte(v.Text()))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, reply := range replies {
			got = append(got, reply.Value.String())
		}
		if strings.ReplaceAll(strings.Join(got, " "), `"`, "") != want {
			t.Errorf("answer %d is %v, want %s", i, got, want)
		}
	}
	if on.Calls[0].ID != "i" {
		t.Errorf("the id is lost: %+v", on.Calls[0])
	}
}

func TestFramesAreRefusedAsAWhole(t *testing.T) {
	on := memory.New(notes)
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	good := string(entry.AppendCalls(nil, []quorate.Call{{Name: "INC", Args: args("n")}}))
	for _, tt := range []struct{ timeout, calls, want string }{
		{"0", good, "-ERR a timeout is a number of milliseconds from 1 to 60000"},
		{"60001", good, "-ERR a timeout is a number of milliseconds from 1 to 60000"},
		{"x", good, "-ERR a timeout is a number of milliseconds from 1 to 60000"},
		{"5", good + "x", "-ERR the frame has 1 bytes behind its calls"},
		{"5", good[:len(good)-1], "-ERR the calls of the frame cannot be read: the bytes end too early"},
		{"5", "", "-ERR the calls of the frame cannot be read: the bytes end too early"},
	} {
		c.call("QUORATE", "EXECUTE", tt.timeout, tt.calls)
		if got := show(c.read()); got != tt.want {
			t.Errorf("%s %q: answered %s, want %s", tt.timeout, tt.calls, got, tt.want)
		}
	}
	if len(on.Calls) != 0 {
		t.Errorf("%d calls were run", len(on.Calls))
	}
	c.mustAnswer("QUORATE FOO", "-ERR unknown subcommand 'FOO'. Try QUORATE HELP.")
}

func TestTheLargestCallFitsAFrame(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c := mustDial(t, address)
	value := strings.Repeat("v", quorate.ArgsBytesMax-1)
	if _, err := c.Write(frameOf(quorate.Call{Name: "PUT", Args: args("k", value)})); err != nil {
		t.Fatal(err)
	}
	replies, err := entry.ReadReplies([]byte(c.read().Text()))
	if err != nil || len(replies) != 1 || replies[0].Value.Text() != value {
		t.Fatalf("%d replies, %v", len(replies), err)
	}
	// The same as a command of Redis.
	c.call("SET", "k", value)
	if got := show(c.read()); got != "+OK" {
		t.Fatal(got)
	}
	over := string(callBytes("SET", "k", strings.Repeat("v", quorate.ArgsBytesMax+1)))
	if got := exchange(t, address, over[:64]); got != "-ERR Protocol error: invalid bulk length\r\n" {
		t.Fatal(got)
	}
}

// readFrame is the next answer to a frame.
func (c *talker) readFrame() []quorate.Reply {
	c.t.Helper()
	v := c.read()
	if v.Kind() != resp.Bulk {
		c.t.Fatalf("a frame is answered %s", show(v))
	}
	replies, err := entry.ReadReplies([]byte(v.Text()))
	if err != nil {
		c.t.Fatal(err)
	}
	return replies
}

// aged is a query that tolerates age.
func aged(age time.Duration) quorate.Call {
	return quorate.Call{Name: "TAKE", Args: args("n"), Read: time.Duration(age)}
}

func TestFrameIsNotHeldToWhatStandsBesideIt(t *testing.T) {
	on := leaderless()
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	inc := quorate.Call{Name: "INC", Args: args("n")}
	unknown := quorate.Call{Name: "WHAT"}
	frames := []struct {
		calls []quorate.Call
		want  quorate.Code
	}{
		{[]quorate.Call{aged(time.Second)}, quorate.NotFound},
		{[]quorate.Call{aged(0)}, quorate.Unavailable},
		{nil, ""},
		{[]quorate.Call{aged(time.Second), aged(time.Second)}, quorate.NotFound},
		{[]quorate.Call{inc, inc, inc}, quorate.Unavailable},
		{[]quorate.Call{unknown}, quorate.Unavailable},
		{[]quorate.Call{aged(time.Millisecond)}, quorate.NotFound},
	}
	var packet []byte
	for _, frame := range frames {
		packet = append(packet, frameOf(frame.calls...)...)
	}
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
	for i, frame := range frames {
		for _, reply := range c.readFrame() {
			if code := quorate.CodeOf(reply.Err); code != frame.want {
				t.Errorf("frame %d is answered %s, want %s", i, code, frame.want)
			}
		}
	}
	shapes := on.shapes(t)
	slices.Sort(shapes) // they go down at the same time
	if got := fmt.Sprint(shapes); got != "[1 of 1ms 2 of 0s 3 of 0s 3 of 1s]" {
		t.Errorf("it went down as %s", got)
	}
}

func TestFrameToleratesWhatAllOfItsReadsDo(t *testing.T) {
	on := &asked{on: memory.New(notes)}
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	inc := quorate.Call{Name: "INC", Args: args("n")}
	var packet []byte
	for _, calls := range [][]quorate.Call{
		{aged(time.Second), aged(time.Minute)}, {aged(time.Second)}, // the least
		{aged(time.Minute), aged(0)}, {aged(0)},
		{aged(time.Minute), inc}, {inc}, // what stands beside a write goes with it
	} {
		packet = append(packet, frameOf(calls...)...)
	}
	if _, err := c.Write(packet); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		c.readFrame()
	}
	var sizes []int
	for _, calls := range on.slices {
		sizes = append(sizes, len(calls))
	}
	if fmt.Sprint(sizes) != "[3 3 3]" {
		t.Errorf("it went down in slices of %v, want [3 3 3]", sizes)
	}
}

func TestFramesOfManyAgesAreNotAllRunAtOnce(t *testing.T) {
	// Each slice takes a second, on virtual time.
	state := memory.New(notes)
	on := &asked{on: memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
		time.Sleep(time.Second)
		return state.Execute(ctx, calls)
	})}
	bubble(t, respapi.Config{Executor: on}, func(t *testing.T, _ *respapi.Server, listener *pipes) {
		c := listener.dial(t)
		var packet []byte
		for i := range 16 {
			packet = append(packet, frameOf(aged(time.Duration(i)))...)
		}
		began := time.Now()
		if _, err := c.Write(packet); err != nil {
			t.Fatal(err)
		}
		for range 16 {
			c.readFrame()
		}
		if took := time.Since(began); len(on.shapes(t)) != 16 || on.most != 4 || took != 4*time.Second {
			t.Errorf("%d slices, %d at once, take %v, want 16, 4 and 4s", len(on.slices), on.most, took)
		}
	})
}

func TestFramesBringFewCallsWhileAnswersAreLarge(t *testing.T) {
	on := &asked{on: memory.New(notes)}
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	c.call("SET", "large", strings.Repeat("x", 5<<10))
	c.read()
	for _, tt := range []struct {
		key         string
		least, most int
	}{{"large", 1, 64}, {"small", 256, 16 << 10}, {"large", 1, 64}} {
		on.slices = nil
		frame := frameOf(slices.Repeat([]quorate.Call{{Name: "TAKE", Args: args(tt.key)}}, 8)...)
		for range 2 {
			if _, err := c.Write(bytes.Repeat(frame, 256)); err != nil {
				t.Fatal(err)
			}
			for range 256 {
				if n := len(c.readFrame()); n != 8 {
					t.Fatalf("%d replies", n)
				}
			}
		}
		largest := 0
		for i, calls := range on.slices {
			if i > 0 || tt.key == "small" { // the first one is as the answers before it allow
				largest = max(largest, len(calls))
			}
		}
		// A pipeline may arrive in pieces, so that few of them are whole.
		if largest < tt.least || largest > tt.most {
			t.Errorf("%s: the largest of %d slices has %d calls, want %d to %d", tt.key, len(on.slices), largest, tt.least, tt.most)
		}
	}
}

func TestFrameLargerThanAPortionIsRunAlone(t *testing.T) {
	on := &asked{on: memory.New(notes)}
	_, address := mustServe(t, respapi.Config{Executor: on})
	c := mustDial(t, address)
	of := func(calls int) []byte {
		return frameOf(slices.Repeat([]quorate.Call{{Name: "TAKE", Args: args("small")}}, calls)...)
	}
	for _, packet := range [][]byte{
		slices.Concat(of(1), of(100), of(1)), // at first a portion is 64 calls
		of(0),                                // says nothing of how large answers are
		slices.Concat(of(50), of(0), of(50)), // now it is 200
	} {
		if _, err := c.Write(packet); err != nil {
			t.Fatal(err)
		}
		for range bytes.Count(packet, []byte("EXECUTE")) {
			c.readFrame()
		}
	}
	if got := fmt.Sprint(on.shapes(t)); got != "[1 of 0s 100 of 0s 1 of 0s 100 of 0s]" {
		t.Errorf("it went down as %s", got)
	}
}

func TestAnswerToAFrameIsBounded(t *testing.T) {
	const (
		most    = 48 << 20
		lost    = 128 // at most, for each
		refused = 60  // by the executor, which did not try it
	)
	whole := values.Bytes(strings.Repeat("x", 1<<20))
	for _, tt := range []struct {
		name    string
		call    quorate.Call
		calls   int
		fits    int
		outcome quorate.Outcome
	}{
		{"what fits", quorate.Call{Name: "TAKE", Args: args("n")}, 47, 47, quorate.NotApplied},
		{"queries", quorate.Call{Name: "TAKE", Args: args("n")}, 80, 47, quorate.NotApplied},
		{"commands", quorate.Call{Name: "INC", Args: args("n")}, 80, 47, quorate.Unknown},
	} {
		on := memory.Func(func(_ context.Context, calls []quorate.Call) []quorate.Reply {
			replies := make([]quorate.Reply, len(calls))
			for i := range replies {
				replies[i] = quorate.Reply{Value: whole, Index: uint64(i + 1)}
				if i == refused {
					replies[i] = quorate.Reply{Err: quorate.Errorf(quorate.Overloaded, "not tried"), Index: uint64(i + 1)}
				}
			}
			return replies
		})
		_, address := mustServe(t, respapi.Config{Executor: on})
		c := mustDial(t, address)
		frame := frameOf(slices.Repeat([]quorate.Call{tt.call}, tt.calls)...)
		// What stands behind it is answered in full.
		if _, err := c.Write(slices.Concat(frame, frameOf(tt.call))); err != nil {
			t.Fatal(err)
		}
		v := c.read()
		if len(v.Text()) > most {
			t.Errorf("%s: the answer has %d bytes", tt.name, len(v.Text()))
		}
		replies, err := entry.ReadReplies([]byte(v.Text()))
		if err != nil || len(replies) != tt.calls {
			t.Fatalf("%s: %d replies, %v", tt.name, len(replies), err)
		}
		for i, reply := range replies {
			if reply.Index != uint64(i+1) {
				t.Errorf("%s: reply %d has index %d", tt.name, i, reply.Index)
			}
			if i == refused {
				if quorate.CodeOf(reply.Err) != quorate.Overloaded || quorate.OutcomeUnknown(reply.Err) {
					t.Errorf("%s: what was not tried is answered %v, outcome unknown: %v", tt.name, reply.Err, quorate.OutcomeUnknown(reply.Err))
				}
				continue
			}
			if i < tt.fits {
				if !reply.Value.Equal(whole) {
					t.Errorf("%s: reply %d is %v", tt.name, i, reply.Err)
				}
				continue
			}
			if quorate.CodeOf(reply.Err) != quorate.TooLarge || quorate.OutcomeUnknown(reply.Err) != (tt.outcome == quorate.Unknown) {
				t.Errorf("%s: reply %d is lost with %v, outcome unknown: %v", tt.name, i, reply.Err, quorate.OutcomeUnknown(reply.Err))
			}
			if size := len(entry.AppendReply(nil, reply)); size > lost {
				t.Errorf("%s: a lost reply has %d bytes", tt.name, size)
			}
		}
		if replies := c.readFrame(); len(replies) != 1 || !replies[0].Value.Equal(whole) {
			t.Errorf("%s: the frame behind it is answered %d replies", tt.name, len(replies))
		}
	}
}

// TestAnswerToAFrameIsBoundedToTheByte goes over the limit by no more than the
// count in front.
func TestAnswerToAFrameIsBoundedToTheByte(t *testing.T) {
	const most = 48 << 20
	for _, over := range []int{0, 1} {
		var size int
		on := memory.Func(func(_ context.Context, calls []quorate.Call) []quorate.Reply {
			replies := make([]quorate.Reply, len(calls))
			half := strings.Repeat("x", most/2)
			replies[0].Value = values.Bytes(half)
			replies[1].Value = values.Bytes(half[:most/2-64])
			rest := most - len(entry.AppendReplies(nil, replies))
			replies[1].Value = values.Bytes(half[:most/2-64+rest+over])
			size = len(entry.AppendReplies(nil, replies))
			return replies
		})
		_, address := mustServe(t, respapi.Config{Executor: on})
		c := mustDial(t, address)
		if _, err := c.Write(frameOf(aged(0), aged(0))); err != nil {
			t.Fatal(err)
		}
		replies := c.readFrame()
		if size != most+over || replies[0].Err != nil || (replies[1].Err == nil) != (over == 0) {
			t.Errorf("replies of %d bytes, %d over the limit, are answered %v and %v", size, over, replies[0].Err, replies[1].Err)
		}
	}
}
