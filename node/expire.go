package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate/internal/logtime"
	"github.com/quorate/quorate/internal/peer"
	"github.com/quorate/quorate/internal/store"
)

const (
	// expireLook is how long expire waits at most before it looks at the clock
	// again, which may have jumped.
	expireLook = time.Second
	// expireRetry is how long it waits after a tick that did not get into the log.
	expireRetry = 100 * time.Millisecond
)

// expire puts the time into the log when something in the state ends, while
// this node leads. Where nothing ends it puts nothing there.
func (n *Node) expire(ctx context.Context, c *core) {
	for ctx.Err() == nil {
		changed, sooner := c.group.Changed(), n.machine.Sooner()
		var look <-chan time.Time
		if _, err := c.group.Leading(); err == nil && n.machine.Meta().Due != 0 {
			look = time.After(n.endNext(ctx, c))
		}
		select {
		case <-ctx.Done():
		case <-changed:
		case <-sooner:
		case <-look:
		}
	}
}

// endNext puts the time into the log if the first key ends now by the clock of
// the leader. It returns how long to wait before it is called again.
func (n *Node) endNext(ctx context.Context, c *core) time.Duration {
	// Before the end: where it changes in between, Sooner tells.
	due := store.Time(n.machine.Meta().Due)
	// Before the end too: what had ended by then and is there still was more
	// than one entry removes. Read after it, it might be of the very entry
	// that removed this end.
	reached := n.logTime()
	end := n.machine.NextEnd()
	if end.IsZero() {
		return expireLook
	}
	now := n.clock.Now()
	if wait := end.Sub(now); wait > 0 {
		return min(wait, expireLook, lookAgain(now.Sub(due)))
	}
	var err error
	if reached.Before(end) {
		err = n.reach(ctx, c, end)
	} else {
		err = c.batch.Tick(ctx)
	}
	if err != nil {
		n.config.Log.Debug("the end of a key could not be put into the log", "error", err)
		return expireRetry
	}
	return 0
}

// lookAgain is when to look for the first end again, by how long Due is over.
//
// Sooner tells of an end that is before Due, and Due may be long before the
// first end. So up to Due it is told of none that comes between them. From Due
// on each entry brings Due up to the first end, and that is told; but one that
// was stamped before may still be on its way. It is looked for after 1, 2, 4 ms
// and so on, so that it is found no later than it took once more.
func lookAgain(over time.Duration) time.Duration {
	if over < 0 {
		return -over
	}
	return max(over, time.Millisecond)
}

// reach returns nil once log time is at a time that the clock of this leader
// has told. Of several that want it there only one puts it into the log.
func (n *Node) reach(ctx context.Context, c *core, at time.Time) error {
	select {
	case n.ticking <- struct{}{}:
		defer func() { <-n.ticking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !n.logTime().Before(at) {
		return nil
	}
	return c.batch.Tick(ctx)
}

// logTime is the newest log time in the state.
func (n *Node) logTime() time.Time { return store.Time(n.machine.Meta().Time) }

// serveClock tells another node the time on this machine: i64 unix
// nanoseconds, little-endian.
func (n *Node) serveClock(_ context.Context, _ peer.Member, _ []byte, reply func([]byte, error)) {
	reply(binary.LittleEndian.AppendUint64(nil, uint64(logtime.Clamp(n.config.Host.Now()).UnixNano())), nil)
}

// agree asks the other members whether their clocks agree with that of this
// machine. See logtime.Config.
func (n *Node) agree(ctx context.Context, wall time.Time) error {
	c := n.core.Load()
	if c == nil {
		return forming()
	}
	others := c.group.Others()
	if len(others) == 0 {
		return logtime.ErrAlone
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var asking sync.WaitGroup
	defer asking.Wait()
	began := time.Now()
	answers := make(chan bool, len(others))
	for _, other := range others {
		asking.Go(func() {
			there, err := n.askClock(ctx, other)
			// By then that much time has passed here.
			differ := there.Sub(wall.Add(time.Since(began))).Abs()
			answers <- err == nil && differ <= logtime.JumpMax
		})
	}
	missing := (len(others) + 1) / 2 // besides this node
	for range others {
		if <-answers {
			if missing--; missing == 0 {
				return nil
			}
		}
	}
	return fmt.Errorf("the clocks of %d of %d other members are missing to agree with that of this node", missing, len(others))
}

func (n *Node) askClock(ctx context.Context, other peer.Member) (time.Time, error) {
	answer, err := n.port.Call(ctx, other, peer.Control, kindClock, nil)
	if err != nil {
		return time.Time{}, err
	}
	if len(answer) != 8 {
		return time.Time{}, errors.New("it answered what is no time")
	}
	return time.Unix(0, int64(binary.LittleEndian.Uint64(answer))), nil
}
