package quoratetest

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/quorate/quorate"
)

// operation is a call as its caller saw it, from the first attempt to the answer.
// Attempts under one id are one operation.
type operation struct {
	caller int
	call   any    // as the generator made it
	text   string // to be shown
	part   string
	writes bool
	stale  bool
	// called and returned are ticks of the history: the order in which callers
	// called and heard, without ties.
	called, returned int64
	answer           Answer
	// index is up to where in the log the answer goes.
	index uint64
	// void says that nothing may ever be seen of it: it was surely not applied, or
	// it is a query that was not answered.
	void bool
}

// history is what callers did and heard.
type history struct {
	tick atomic.Int64
	// mu guards what follows.
	mu  sync.Mutex
	all []*operation
	// made is the calls that were made, by what they ask for.
	made map[sum]any
	// doubts counts in each part the commands without an id whose outcome is not
	// known. Each may take effect at any later time, and the time to check grows
	// with all combinations of these.
	doubts map[string]int
}

func newHistory() *history { return &history{made: make(map[sum]any), doubts: make(map[string]int)} }

// begin takes down that an operation is about to be called.
func (h *history) begin(o *operation, call quorate.Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.called, o.returned = h.tick.Add(1), math.MaxInt64
	h.made[sumOf(call.Name, call.Args)] = o.call
	h.all = append(h.all, o)
}

// finish takes down what became of an operation. Known is false if its outcome is
// unknown.
func (h *history) finish(o *operation, reply quorate.Reply, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !known {
		o.void = !o.writes
		if o.writes {
			h.doubts[o.part]++
		}
		return
	}
	o.returned, o.index = h.tick.Add(1), reply.Index
	o.answer = Answer{known: true, value: reply.Value, err: reply.Err}
}

// drop takes down that an operation was surely not applied.
func (h *history) drop(o *operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	o.void = true
}

// doubted is how many commands without an id are in doubt in a part.
func (h *history) doubted(part string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.doubts[part]
}

// answers counts operations.
type answers struct {
	commands, queries, stale int // that were answered; queries are not stale
	unknown                  int // commands of which nobody knows what became
}

func (a answers) all() int { return a.commands + a.queries + a.stale }

// answered counts the operations by what became of them.
func (h *history) answered() (a answers) {
	for _, o := range h.all {
		switch {
		case !o.answer.known && !o.void:
			a.unknown++
		case !o.answer.known:
		case o.stale:
			a.stale++
		case o.writes:
			a.commands++
		default:
			a.queries++
		}
	}
	return a
}

// inLogOrder runs the model over the log as the nodes applied it, and holds against
// it what each command came to, and what each query saw at its place of the log,
// however old. The error names the first that the model does not allow.
func (h *history) inLogOrder(m explained, l *ledger) error {
	var reads []*operation
	for _, o := range h.all {
		if !o.writes && o.answer.known {
			reads = append(reads, o)
		}
	}
	slices.SortStableFunc(reads, func(a, b *operation) int { return int(a.index) - int(b.index) })
	states := make(map[string]any)
	state := func(part string) any {
		if s, ok := states[part]; ok {
			return s
		}
		return m.init
	}
	readUntil := func(index uint64) error {
		for ; len(reads) > 0 && reads[0].index < index; reads = reads[1:] {
			o := reads[0]
			if _, ok := m.step(state(o.part), o.call, o.answer); !ok {
				return disallowed(o.text, o.index, o.answer, state(o.part), o.stale)
			}
		}
		return nil
	}
	places, done := l.applied()
	for _, where := range places {
		if err := readUntil(where.index); err != nil {
			return err
		}
		made := done[where]
		call, known := h.made[made.sum]
		if !known {
			return fmt.Errorf("%s stands in the log at index %d, and nobody called it", made.call, where.index)
		}
		part := m.part(call)
		answer := Answer{known: true, value: made.result.Value, err: made.result.Err}
		next, ok := m.step(state(part), call, answer)
		if !ok {
			return disallowed(made.call, where.index, answer, state(part), false)
		}
		states[part] = next
	}
	return readUntil(math.MaxUint64)
}

func disallowed(text string, index uint64, answer Answer, state any, stale bool) error {
	how := ""
	if stale {
		how = " stale"
	}
	return fmt.Errorf("%s at index %d of the log was answered%s with %v, which the model does not allow in the state %.500s", text, index, how, answer, fmt.Sprintf("%+v", state))
}

// porcupineMax is how long porcupine may think about one part. It takes
// milliseconds where it comes to an end at all.
const porcupineMax = 30 * time.Second

// linearizable gives the history to porcupine, part by part. The error names the
// first part that cannot be explained; in dir it leaves a drawing of it.
func (h *history) linearizable(m explained) error {
	model := m.porcupine()
	parts := make(map[string][]porcupine.Operation)
	for _, o := range h.all {
		if !o.void && !o.stale {
			parts[o.part] = append(parts[o.part], porcupine.Operation{
				ClientId: o.caller, Input: o, Output: o.answer, Call: o.called, Return: o.returned,
			})
		}
	}
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		operations := parts[part]
		switch porcupine.CheckOperationsTimeout(model, operations, porcupineMax) {
		case porcupine.Ok:
		case porcupine.Unknown:
			return fmt.Errorf("porcupine could not say in %v whether the %d calls on part %q can be explained: give the model smaller parts, or let fewer callers call", porcupineMax, len(operations), part)
		default:
			return fmt.Errorf("no order of the %d calls on part %q explains what callers heard: a call took effect before it was made or after it was answered, or its answer is wrong%s",
				len(operations), part, draw(model, operations))
		}
	}
	return nil
}

// draw leaves a drawing of what cannot be explained, and says where.
func draw(model porcupine.Model, operations []porcupine.Operation) string {
	_, info := porcupine.CheckOperationsVerbose(model, operations, porcupineMax)
	dir, err := os.MkdirTemp("", "quoratetest-")
	if err != nil {
		return ""
	}
	path := filepath.Join(dir, "history.html")
	if err := porcupine.VisualizePath(model, info, path); err != nil {
		return ""
	}
	return "; it is drawn in " + path
}

// porcupine is the model as porcupine wants it.
func (m explained) porcupine() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return m.init },
		Step: func(state, input, output any) (bool, any) {
			next, ok := m.step(state, input.(*operation).call, output.(Answer))
			return ok, next
		},
		Equal: m.equal,
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%s: %v", input.(*operation).text, output.(Answer))
		},
		DescribeState: func(state any) string { return strings.TrimSpace(fmt.Sprintf("%+v", state)) },
	}
}
