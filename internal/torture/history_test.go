package torture

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// operation is one call of a client as it saw it, from the first attempt to
// the answer. Attempts under one id are one operation.
type operation struct {
	Client int
	Name   string
	Key    string
	// Value is what is put, or added; Expect is what a CAS expects.
	Value  int64
	Expect register
	ID     string `json:",omitempty"`
	// Call and Return are in nanoseconds since the history began.
	Call, Return int64
	Outcome      outcome
	// Answer is what the operation answered: a value, or that there is none.
	Answer register
	Error  string `json:",omitempty"`
}

// The names of operations.
const (
	get    = "get"
	put    = "put"
	inc    = "inc"
	cas    = "cas"
	remove = "delete"
)

func (o *operation) writes() bool { return o.Name != get }

// register is what is under a key.
type register struct {
	Found bool
	Value int64
}

// next is the state after an operation, and whether the operation may have
// answered as it did. One without an answer may have.
func (o *operation) next(was register) (now register, legal bool) {
	now, answer := was, was
	switch o.Name {
	case put:
		now = register{true, o.Value}
		answer = now
	case inc:
		now = register{true, was.Value + o.Value}
		answer = now
	case remove:
		now = register{}
		answer = register{Found: was.Found}
	case cas:
		if was == o.Expect {
			now = register{true, o.Value}
			answer = now
		} else if o.Outcome == acknowledged {
			return was, false
		}
	}
	if o.Outcome == unknown {
		return now, true
	}
	refuses := o.Name == cas && was != o.Expect || o.Name == get && !was.Found
	return now, answer == o.Answer && refuses == (o.Outcome == refused)
}

// model is one key. An operation is its own input and output.
var model = porcupine.Model{
	Init: func() any { return register{} },
	Step: func(state, _, output any) (bool, any) {
		now, legal := output.(*operation).next(state.(register))
		return legal, now
	},
	DescribeOperation: func(_, output any) string { return output.(*operation).String() },
	DescribeState:     func(state any) string { return state.(register).String() },
}

func (r register) String() string {
	if !r.Found {
		return "none"
	}
	return fmt.Sprint(r.Value)
}

func (o *operation) String() string {
	what := o.Name
	switch o.Name {
	case put, inc:
		what = fmt.Sprintf("%s %d", o.Name, o.Value)
	case cas:
		what = fmt.Sprintf("cas %v to %d", o.Expect, o.Value)
	}
	switch o.Outcome {
	case unknown:
		return what + ": unknown"
	case refused:
		return what + ": no, " + o.Answer.String()
	}
	return what + ": " + o.Answer.String()
}

// history is the operations of many clients, by key.
type history struct {
	began time.Time
	// mu guards what follows.
	mu   sync.Mutex
	keys map[string][]*operation
}

func newHistory() *history { return &history{began: time.Now(), keys: make(map[string][]*operation)} }

// now is the time of the history.
func (h *history) now() int64 { return int64(time.Since(h.began)) }

// note records an operation that has come to its end. Of a read without an
// answer and of a write that was surely not applied nothing may ever be seen,
// and so they are left out.
func (h *history) note(o *operation) {
	if o.Outcome == notApplied || o.Outcome == unknown && !o.writes() {
		return
	}
	if o.Outcome == unknown {
		o.Return = math.MaxInt64 // it may take effect at any time, or never
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keys[o.Key] = append(h.keys[o.Key], o)
}

// names is the keys of which something was noted.
func (h *history) names() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Sorted(maps.Keys(h.keys))
}

// checkMax bounds the check of one key. It takes milliseconds.
const checkMax = 30 * time.Second

// check finds the keys whose history is not linearizable, or too hard to say.
func (h *history) check() (wrong []string) {
	for _, key := range h.names() {
		if result := porcupine.CheckOperationsTimeout(model, operations(h.keys[key]), checkMax); result != porcupine.Ok {
			wrong = append(wrong, key)
		}
	}
	return wrong
}

func operations(history []*operation) []porcupine.Operation {
	made := make([]porcupine.Operation, len(history))
	for i, o := range history {
		made[i] = porcupine.Operation{ClientId: o.Client, Input: nil, Output: o, Call: o.Call, Return: o.Return}
	}
	return made
}

// shownMax bounds the keys that are shown: one is enough to look into, and
// what is wrong with one is mostly wrong with many.
const shownMax = 5

// save writes the whole history, and what porcupine shows of the first keys
// that are wrong, to a directory.
func (h *history) save(dir string, wrong []string) error {
	var lines strings.Builder
	encoder := json.NewEncoder(&lines)
	for _, key := range h.names() {
		for _, o := range h.keys[key] {
			if err := encoder.Encode(o); err != nil {
				return err
			}
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "history.jsonl"), []byte(lines.String()), 0o600); err != nil {
		return err
	}
	for _, key := range wrong[:min(len(wrong), shownMax)] {
		_, info := porcupine.CheckOperationsVerbose(model, operations(h.keys[key]), checkMax)
		if err := porcupine.VisualizePath(model, info, filepath.Join(dir, key+".html")); err != nil {
			return err
		}
	}
	return nil
}

func TestCheckTellsWhatMayBeFromWhatMustNot(t *testing.T) {
	one, two := register{true, 1}, register{true, 2}
	put1 := operation{Name: put, Value: 1, Call: 0, Return: 1, Answer: one}
	read := func(at int64, answer register) operation {
		o := operation{Name: get, Call: at, Return: at + 1, Answer: answer}
		if !answer.Found {
			o.Outcome = refused
		}
		return o
	}
	for _, c := range []struct {
		name    string
		history []operation
		legal   bool
	}{
		{"a read sees the write before it", []operation{put1, read(2, one)}, true},
		{"a read misses the write before it", []operation{put1, read(2, register{})}, false},
		{"a read beside a write misses it", []operation{{Name: put, Value: 1, Call: 0, Return: 9, Answer: one}, read(2, register{})}, true},
		{"a value disappears", []operation{put1, read(2, one), read(4, register{})}, false},
		{"a value comes from nowhere", []operation{put1, read(2, two)}, false},
		{"an unknown write is seen late", []operation{put1, {Name: put, Value: 2, Call: 2, Outcome: unknown}, read(4, one), read(6, two)}, true},
		{"an unknown write is never seen", []operation{put1, {Name: put, Value: 2, Call: 2, Outcome: unknown}, read(4, one)}, true},
		{"an unknown write is seen and then not", []operation{put1, {Name: put, Value: 2, Call: 2, Outcome: unknown}, read(4, two), read(6, one)}, false},
		{"an unknown write is seen before it was sent", []operation{put1, read(2, two), {Name: put, Value: 2, Call: 4, Outcome: unknown}}, false},
		{"a write that was surely not applied is seen", []operation{put1, {Name: put, Value: 2, Call: 2, Return: 3, Outcome: notApplied}, read(4, two)}, false},
		{"a read without an answer says nothing", []operation{put1, {Name: get, Call: 2, Outcome: unknown}, read(4, one)}, true},
		{"an increment counts once", []operation{put1, {Name: inc, Value: 1, Call: 2, Return: 3, Answer: two}, read(4, two)}, true},
		{"an increment counts twice", []operation{put1, {Name: inc, Value: 1, Call: 2, Return: 3, Answer: two}, read(4, register{true, 3})}, false},
		{"an unknown increment counts twice", []operation{put1, {Name: inc, Value: 1, Call: 2, Outcome: unknown}, read(4, register{true, 3})}, false},
		{"a CAS meets what it expects", []operation{put1, {Name: cas, Expect: one, Value: 2, Call: 2, Return: 3, Answer: two}, read(4, two)}, true},
		{"a CAS says conflict", []operation{put1, {Name: cas, Expect: two, Value: 3, Call: 2, Return: 3, Outcome: refused, Answer: one}, read(4, one)}, true},
		{"a CAS says conflict with what it expects", []operation{put1, {Name: cas, Expect: one, Value: 3, Call: 2, Return: 3, Outcome: refused, Answer: one}}, false},
		{"a CAS says conflict with what was there before", []operation{put1, {Name: put, Value: 2, Call: 2, Return: 3, Answer: two},
			{Name: cas, Expect: register{}, Value: 3, Call: 4, Return: 5, Outcome: refused, Answer: one}}, false},
		{"a CAS meets what is not there", []operation{put1, {Name: cas, Expect: two, Value: 3, Call: 2, Return: 3, Answer: register{true, 3}}}, false},
		{"a delete finds the value", []operation{put1, {Name: remove, Call: 2, Return: 3, Answer: register{Found: true}}, read(4, register{})}, true},
		{"a delete finds nothing where a value is", []operation{put1, {Name: remove, Call: 2, Return: 3}}, false},
	} {
		h := newHistory()
		for i := range c.history {
			c.history[i].Client = i
			h.note(&c.history[i])
		}
		if legal := len(h.check()) == 0; legal != c.legal {
			t.Errorf("%s: legal is %v", c.name, legal)
		}
	}
}
