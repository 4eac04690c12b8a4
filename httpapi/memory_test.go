package httpapi_test

import (
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/quorate/quorate"
)

// memory is an Executor that runs a service on a state in memory, as one node
// without a log would.
type memory struct {
	service *quorate.Service

	mu    sync.Mutex // guards what follows
	data  map[string]string
	index uint64
	calls []quorate.Call // all that reached it
}

func newMemory(service *quorate.Service) *memory {
	return &memory{service: service, data: make(map[string]string)}
}

func (m *memory) Execute(_ context.Context, calls []quorate.Call) []quorate.Reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = append(m.calls, calls...)
	replies := make([]quorate.Reply, len(calls))
	for i, call := range calls {
		replies[i] = m.run(call)
	}
	return replies
}

func (m *memory) run(call quorate.Call) quorate.Reply {
	op, err := m.service.Check(call)
	if err != nil {
		return quorate.Reply{Err: err}
	}
	if !op.Writes() {
		value, err := op.Read(quorate.NewView(scratch{m.data}, m.moment()), call.Args)
		return quorate.Reply{Value: value, Index: m.index, Err: err}
	}
	m.index++
	after := scratch{maps.Clone(m.data)}
	value, err := op.Apply(quorate.NewTx(after, m.moment()), call.Args)
	if err == nil {
		m.data = after.data
	}
	return quorate.Reply{Value: value, Index: m.index, Err: err}
}

func (m *memory) moment() quorate.Moment {
	return quorate.Moment{Index: m.index, Time: time.Unix(0, 0), Seed: m.index}
}

// scratch is a quorate.State over a map.
type scratch struct{ data map[string]string }

func (s scratch) Get(key []byte) ([]byte, bool) {
	value, found := s.data[string(key)]
	return []byte(value), found
}

func (s scratch) Set(key, value []byte) { s.data[string(key)] = string(value) }
func (s scratch) Delete(key []byte)     { delete(s.data, string(key)) }

func (s scratch) Scan(start, end []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		for _, key := range slices.Sorted(maps.Keys(s.data)) {
			if key < string(start) || end != nil && key >= string(end) {
				continue
			}
			if !yield([]byte(key), []byte(s.data[key])) {
				return
			}
		}
	}
}

// executor is an Executor made of a function.
type executor func(ctx context.Context, calls []quorate.Call) []quorate.Reply

func (e executor) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	return e(ctx, calls)
}
