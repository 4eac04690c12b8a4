package main

import (
	"context"
	"sync"

	"github.com/quorate/quorate"
)

// Worker hands out the ids of a space one by one and asks for the next range when
// one is used up. Any number of goroutines share a worker, and any number of
// workers a space; while one goroutine asks, the others wait for the same range.
// What a worker that ends has left is never handed out.
type Worker struct {
	On    quorate.Executor
	Space string
	Count int64 // how many ids a range has; at least 1

	mu   sync.Mutex
	left Range
}

// Next is an id that nobody else gets.
func (w *Worker) Next(ctx context.Context) (int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.left.First == 0 || w.left.First > w.left.Last {
		// A range whose answer was lost is lost with it: no id comes twice.
		fresh, err := quorate.Do(ctx, w.On, Reserve{Space: w.Space, Count: w.Count})
		if err != nil {
			return 0, err
		}
		w.left = fresh
	}
	id := w.left.First
	w.left.First++
	return id, nil
}
