// Package batch turns many waiting calls into few log entries.
//
// A batch closes when the log has room for it, never on a timer: an idle node
// sends a call alone and at once, a busy one fills batches by itself. What
// waits is bounded in calls and in bytes; what is over the bound is refused at
// once. Whoever wants the time in the log and nothing else gets an entry without
// calls, or shares the next one.
//
// It keeps one rule: an answer "not applied" is given only for a call that was
// never proposed, or that the log surely refused. It does not know what a call
// means, and it does not retry.
package batch

import (
	"context"
	"math/rand/v2"
	"sync"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/invariant"
)

// Limits of entries and of what waits.
const (
	// EntryBytesMax bounds one log entry, unless a single call is larger. At
	// 1 Gbit/s, 256 KiB are 2 ms on the wire: too short to delay a heartbeat.
	EntryBytesMax = 256 << 10
	// callsWaitingMax bounds the calls that wait: at 20,000 a second, the
	// last of them waits three seconds.
	callsWaitingMax = 64 << 10
	// bytesWaitingMax bounds their bytes.
	bytesWaitingMax = 64 << 20
	// inFlight is how many entries are on their way at once. With one, what
	// waits while the disks sync goes into the next; with more, entries are
	// smaller and each costs a sync all the same. Calls a second on 2 cores,
	// three nodes in one process over loopback TCP, median of three runs of
	// BenchmarkAdd in internal/consensus (of two for 2 to 16 callers):
	//
	//	callers     1     2     8    16     64     256     1024
	//	one      1965  2028  7814 14373  54137  154418   290298
	//	two      2022  2756  6720 11789  41377  126591   264152
	//	three    1954  2559  5546 11472  40230  120586   246604
	//
	// Two would be better for two callers alone, who take turns with one.
	inFlight = 1
)

// The calls of one entry must never be more than an entry can hold.
const _ = uint(entry.CallsMax - callsWaitingMax)

// Propose puts one entry into the log and returns the answers to its calls
// once it was applied. Its error holds for all of them; it is an
// *quorate.Error whose Outcome is sure.
type Propose func(data []byte) ([]quorate.Reply, error)

// Batcher collects calls. It is ready when New returns and must be closed.
type Batcher struct {
	propose Propose
	stamp   func() entry.Header
	workers sync.WaitGroup
	// waiters holds a *waiter.
	waiters sync.Pool

	// taking guards what of a waiter says so. Nobody holds it for longer than it
	// takes to encode an entry; whoever holds mu may lock it, but not the other
	// way round.
	taking sync.Mutex

	// mu guards what follows.
	mu     sync.Mutex
	wake   sync.Cond // queue or closed has changed
	queue  []*waiter
	calls  int // in queue
	bytes  int // in queue
	closed bool
}

// waiter is calls of one caller that go into one entry together.
type waiter struct {
	calls []quorate.Call // not read once done has told, or the caller took them
	bytes int
	// taken says who decides: the worker that proposes the calls, or the
	// caller who gave up before. Whoever sets it first. Guarded by taking.
	taken bool
	// replies are the answers, or err is why there are none.
	replies []quorate.Reply
	err     error
	done    chan struct{} // has room for one, which tells that replies or err is set
}

// take says that whoever asks is the first, and decides from then on. The caller
// holds taking.
func (w *waiter) take() bool {
	first := !w.taken
	w.taken = true
	return first
}

// New starts a batcher. Stamp tells what stands on an entry that is made now,
// but for its seed, which the batcher draws.
func New(propose Propose, stamp func() entry.Header) *Batcher {
	b := &Batcher{propose: propose, stamp: stamp}
	b.waiters.New = func() any { return &waiter{done: make(chan struct{}, 1)} }
	b.wake.L = &b.mu
	for range inFlight {
		b.workers.Go(b.work)
	}
	return b
}

// Close refuses what waits and awaits what is on its way.
func (b *Batcher) Close() {
	b.mu.Lock()
	b.closed = true
	b.refuse()
	b.wake.Broadcast()
	b.mu.Unlock()
	b.workers.Wait()
}

// Do proposes calls in their order and returns the answer to each. Calls that
// do not fit one entry go in several, one after the other; where one of them
// fails the rest is not tried. If ctx ends first, the calls that were not
// proposed yet never will be. Once Do has returned nobody reads the calls.
func (b *Batcher) Do(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	replies := make([]quorate.Reply, 0, len(calls))
	for len(calls) > 0 {
		n, size := fitting(calls)
		part, err := b.do(ctx, calls[:n], size)
		if err != nil {
			replies = fill(replies, n, err)
			return fill(replies, len(calls)-n, quorate.Errorf(quorate.Unavailable,
				"not tried: the calls before it failed: %v", err))
		}
		replies, calls = append(replies, part...), calls[n:]
	}
	return replies
}

// Tick puts the time into the log: an entry of its own without calls, or
// whatever entry is proposed next.
func (b *Batcher) Tick(ctx context.Context) error {
	_, err := b.do(ctx, nil, 0)
	return err
}

// fitting is how many of the first calls fit one entry, and their size. It is
// at least one.
func fitting(calls []quorate.Call) (n, size int) {
	for _, c := range calls {
		bytes := entry.CallBytes(c)
		if n > 0 && (size+bytes > EntryBytesMax || n == callsWaitingMax) {
			break
		}
		n, size = n+1, size+bytes
	}
	return n, size
}

// fill answers n calls with one error.
func fill(replies []quorate.Reply, n int, err error) []quorate.Reply {
	for range n {
		replies = append(replies, quorate.Reply{Err: err})
	}
	return replies
}

// do proposes calls that fit one entry. An error holds for all of them.
func (b *Batcher) do(ctx context.Context, calls []quorate.Call, size int) ([]quorate.Reply, error) {
	if ctx.Err() != nil {
		return nil, late()
	}
	w := b.waiters.Get().(*waiter)
	w.calls, w.bytes = calls, size
	if err := b.enqueue(w); err != nil {
		b.release(w)
		return nil, err
	}
	select {
	case <-w.done:
		return b.release(w)
	case <-ctx.Done():
	}
	if b.giveUp(w) {
		return nil, late() // it still stands in the queue
	}
	select {
	case <-w.done: // in the same moment; the answer is worth more
		return b.release(w)
	default:
	}
	return nil, &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.Unknown,
		Message: "the deadline passed while the call was being replicated"}
}

// release is what came of a waiter that nobody but the caller knows any more. It
// serves the next.
func (b *Batcher) release(w *waiter) ([]quorate.Reply, error) {
	replies, err := w.replies, w.err
	*w = waiter{done: w.done}
	b.waiters.Put(w)
	return replies, err
}

// giveUp says that the calls of a waiter will not be proposed. If not, they
// were read already.
func (b *Batcher) giveUp(w *waiter) bool {
	b.taking.Lock()
	defer b.taking.Unlock()
	return w.take()
}

func late() error {
	return quorate.Errorf(quorate.Unavailable, "the deadline passed before the call could be proposed")
}

func (b *Batcher) enqueue(w *waiter) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return closing()
	}
	// A queue that is empty takes anything: a single entry is bounded.
	if len(b.queue) > 0 && (b.calls+len(w.calls) > callsWaitingMax || b.bytes+w.bytes > bytesWaitingMax) {
		return quorate.Errorf(quorate.Overloaded, "%d calls of %d bytes are waiting already; try later", b.calls, b.bytes)
	}
	b.queue = append(b.queue, w)
	b.calls += len(w.calls)
	b.bytes += w.bytes
	b.wake.Signal()
	return nil
}

func closing() error { return quorate.Errorf(quorate.Unavailable, "the node is closing") }

// work proposes one batch after the other.
func (b *Batcher) work() {
	var room []quorate.Call
	for {
		batch, open := b.next()
		if !open {
			return
		}
		room = b.run(batch, room)
	}
}

// next waits for calls and takes as many as fit one entry. It says false when
// the batcher is closed.
func (b *Batcher) next() ([]*waiter, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.queue) == 0 && !b.closed {
		b.wake.Wait()
	}
	if b.closed {
		return nil, false
	}
	n, calls, bytes := 0, 0, 0
	for _, w := range b.queue {
		if n > 0 && (bytes+w.bytes > EntryBytesMax || calls+len(w.calls) > entry.CallsMax) {
			break
		}
		n, calls, bytes = n+1, calls+len(w.calls), bytes+w.bytes
	}
	batch := b.queue[:n:n]
	if b.queue = b.queue[n:]; len(b.queue) == 0 {
		b.queue = nil // its memory holds on to the calls that have left
	}
	b.calls -= calls
	b.bytes -= bytes
	return batch, true
}

// refuse answers all that waits. The caller holds mu.
func (b *Batcher) refuse() {
	b.taking.Lock()
	defer b.taking.Unlock()
	for _, w := range b.queue {
		if w.take() {
			w.answer(nil, closing())
		}
	}
	b.queue, b.calls, b.bytes = nil, 0, 0
}

// run proposes one batch and hands the answers out. It returns room for the
// calls of the next.
func (b *Batcher) run(batch []*waiter, room []quorate.Call) []quorate.Call {
	taken, data, calls := b.take(batch, room)
	if len(taken) == 0 {
		return calls
	}
	replies, err := b.propose(data)
	if err != nil {
		for _, w := range taken {
			w.answer(nil, err)
		}
		return emptied(calls)
	}
	invariant.Must(len(replies) == len(calls), "%d answers came to %d calls", len(replies), len(calls))
	for _, w := range taken {
		n := len(w.calls)
		w.answer(replies[:n:n], nil)
		replies = replies[n:]
	}
	return emptied(calls)
}

// take takes what of a batch its callers did not, and encodes it. From then on
// nobody reads the bytes of its calls.
func (b *Batcher) take(batch []*waiter, room []quorate.Call) (taken []*waiter, data []byte, calls []quorate.Call) {
	b.taking.Lock()
	defer b.taking.Unlock()
	taken, calls = batch[:0], room
	for _, w := range batch {
		if w.take() {
			taken = append(taken, w)
			calls = append(calls, w.calls...)
		}
	}
	if len(taken) == 0 {
		return nil, nil, calls
	}
	header := b.stamp()
	header.Seed = rand.Uint64()
	data = make([]byte, 0, size(taken))
	return taken, entry.Append(data, header, calls), calls
}

// roomCallsMax bounds the room for the calls of a batch that is kept for the
// next: 90 bytes each are 360 KiB.
const roomCallsMax = 4 << 10

// emptied is room for the calls of the next batch.
func emptied(calls []quorate.Call) []quorate.Call {
	if cap(calls) > roomCallsMax {
		return nil
	}
	clear(calls) // what they hold must not outlive them
	return calls[:0]
}

func size(batch []*waiter) int {
	n := entry.HeaderBytes
	for _, w := range batch {
		n += w.bytes
	}
	return n
}

func (w *waiter) answer(replies []quorate.Reply, err error) {
	w.replies, w.err = replies, err
	w.done <- struct{}{} // from here on the waiter is the caller's
}
