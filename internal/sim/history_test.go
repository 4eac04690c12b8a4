package sim_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// outcome is what became of an operation.
type outcome string

const (
	answered   outcome = "answered"    // by the state machine
	notApplied outcome = "not_applied" // surely without effect
	unknown    outcome = "unknown"
)

// content is a value as the model holds it: "" is none, else a letter for the
// kind and the value in text.
type content string

func contentOf(v quorate.Value) content {
	switch v.Kind() {
	case values.KindInt:
		return content(fmt.Sprintf("i%d", v.Int()))
	case values.KindBytes:
		return content("s" + v.Text())
	case values.KindBool:
		return content(fmt.Sprintf("b%v", v.Bool()))
	case values.KindNone:
		return ""
	}
	return content("?" + v.String())
}

// answer is what the state machine said.
type answer struct {
	Value content      `json:",omitempty"`
	Code  quorate.Code `json:",omitempty"`
	// There is what a conflict says is there.
	There content `json:",omitempty"`
	Index uint64
}

// operation is one operation of the history. With an id, all attempts under it
// are one operation, from the first call to the first answer.
type operation struct {
	Number int
	Client int
	Name   string
	Key    string
	Put    content        `json:",omitempty"` // of put and cas
	Expect content        `json:",omitempty"` // of cas; empty is nothing
	By     int64          `json:",omitempty"` // of inc
	Noted  bool           `json:",omitempty"` // inc with an argument that the older version does not know
	ID     quorate.CallID `json:",omitempty"`
	Stale  time.Duration  `json:",omitempty"` // the age that a read tolerates
	// Called and Returned are ticks of the history: the order in which
	// clients called and heard, without ties.
	Called, Returned int64
	Outcome          outcome
	Answer           answer
	Tries            []try

	mu sync.Mutex
	// forged says that the id belongs to another call.
	forged bool
	// floor is the highest index of any answer before the first call.
	floor uint64
	call  quorate.Call
}

// try is one attempt of an operation.
type try struct {
	At    string // virtual time of the return
	Node  int
	Said  string
	Index uint64 `json:",omitempty"`
}

// writes says that the operation may change the state.
func (o *operation) writes() bool { return o.Name != "get" }

// token is what only the call of this operation holds, so that it can be
// recognised in the log; empty for those that have none.
func (o *operation) token() string { return tokenOf(o.call) }

// tokenOf is the token of a call in the log. Every put, cas and inc of a run
// differs in value from all others, and deletes are told apart by id.
func tokenOf(c quorate.Call) string {
	if c.Name == "DELETE" && c.ID == "" || c.Name == "GET" {
		return ""
	}
	return fmt.Sprintf("%s %s %q", c.Name, c.ID, c.Args)
}

// history is every operation of a run.
type history struct {
	tick atomic.Int64
	mu   sync.Mutex
	all  []*operation
}

// begin notes that a client is about to call.
func (h *history) begin(o *operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.Number, o.Called, o.Outcome, o.Returned = len(h.all), h.tick.Add(1), unknown, math.MaxInt64
	h.all = append(h.all, o)
}

// operations is a copy of the list.
func (h *history) operations() []*operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*operation(nil), h.all...)
}

// write writes the history as lines of JSON.
func (h *history) write(to io.Writer) error {
	encoder := json.NewEncoder(to)
	for _, o := range h.operations() {
		o.mu.Lock()
		err := encoder.Encode(o)
		o.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// callOf makes the call of an operation.
func callOf(o *operation) quorate.Call {
	key := kv.Key(o.Key)
	var operation any
	switch o.Name {
	case "get":
		operation = kv.Get{Key: key}
	case "put":
		operation = kv.Put{Key: key, Value: valueOf(o.Put)}
	case "cas":
		cas := kv.Cas{Key: key, Value: valueOf(o.Put)}
		if o.Expect != "" {
			expect := valueOf(o.Expect)
			cas.Expect = &expect
		}
		operation = cas
	case "inc":
		operation = kv.Inc{Key: key, By: o.By}
	case "delete":
		operation = kv.Delete{Key: key}
	}
	call, err := quorate.NewCall(operation)
	if err != nil {
		panic(err) // a mistake of the simulator
	}
	if o.Noted {
		call.Args = append(call.Args, nil, []byte("a note"))
	}
	call.ID, call.Read = o.ID, time.Duration(o.Stale)
	return call
}

// valueOf is the value that a content stands for.
func valueOf(c content) quorate.Value {
	if c[0] == 's' {
		return values.Bytes(string(c[1:]))
	}
	var n int64
	if _, err := fmt.Sscan(string(c[1:]), &n); err != nil {
		panic(err) // a mistake of the simulator
	}
	return values.Int(n)
}
