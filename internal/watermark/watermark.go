// Package watermark holds an index that only rises, and lets callers wait
// until it has risen far enough.
//
// It keeps one rule: a mark never goes back. It knows nothing of what the
// index counts.
package watermark

import (
	"context"
	"sync"
	"sync/atomic"
)

// Mark is an index that only rises. The zero value stands at 0 and is ready.
type Mark struct {
	// index never decreases.
	index atomic.Uint64

	// mu guards waiting.
	mu sync.Mutex
	// waiting holds one channel for each index somebody waits for; it is
	// closed when the mark gets there.
	waiting map[uint64]chan struct{}
}

// Index is the mark as it stands.
func (m *Mark) Index() uint64 { return m.index.Load() }

// Advance raises the mark to index and wakes those who waited for it. An
// index below the mark changes nothing.
func (m *Mark) Advance(index uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if index <= m.index.Load() {
		return
	}
	m.index.Store(index)
	for want, reached := range m.waiting {
		if want <= index {
			close(reached)
			delete(m.waiting, want)
		}
	}
}

// Wait returns nil once the mark is at index or above, or the error of ctx.
func (m *Mark) Wait(ctx context.Context, index uint64) error {
	if m.index.Load() >= index {
		return nil
	}
	select {
	case <-m.reached(index):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reached is closed as soon as the mark is at index or above. Callers that
// wait for the same index share one channel, so that what waits is bounded by
// the indexes in flight and not by the callers.
func (m *Mark) reached(index uint64) <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if ch, ok := m.waiting[index]; ok {
		return ch
	}
	ch := make(chan struct{})
	if m.index.Load() >= index {
		close(ch)
		return ch
	}
	if m.waiting == nil {
		m.waiting = make(map[uint64]chan struct{})
	}
	m.waiting[index] = ch
	return ch
}
