package load_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/internal/load"
)

// server answers a call after a while, and none within a stall.
type server struct {
	takes          time.Duration
	stall, resumes time.Time // none if both are zero

	calls, closed atomic.Int64
}

// open makes a worker that is a client of the server.
func (s *server) open(context.Context, int) (load.Worker, error) { return worker{s.do, &s.closed}, nil }

func (s *server) do(ctx context.Context) []error {
	s.calls.Add(1)
	if now := time.Now(); !now.Before(s.stall) && now.Before(s.resumes) {
		if !rest(ctx, s.resumes.Sub(now)) {
			return []error{ctx.Err()}
		}
	}
	if !rest(ctx, s.takes) {
		return []error{ctx.Err()}
	}
	return nil
}

// rest is false if ctx ends before the time has passed.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// worker is a function that makes calls.
type worker struct {
	do     func(ctx context.Context) []error
	closed *atomic.Int64
}

// Do implements load.Worker.
func (w worker) Do(ctx context.Context) []error { return w.do(ctx) }

// Close implements load.Worker.
func (w worker) Close() error {
	if w.closed != nil {
		w.closed.Add(1)
	}
	return errors.New("nobody needs to know")
}

// each makes all callers do the same.
func each(do func(ctx context.Context) []error) func(context.Context, int) (load.Worker, error) {
	return func(context.Context, int) (load.Worker, error) { return worker{do: do}, nil }
}

func mustRun(t *testing.T, ctx context.Context, p load.Plan) *load.Result {
	t.Helper()
	result, err := load.Run(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// near says that a latency is one, as far as a histogram of three digits tells.
func near(got, want time.Duration) bool {
	return got >= want-want/1000 && got <= want+want/1000
}
