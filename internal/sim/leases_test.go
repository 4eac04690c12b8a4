package sim_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/quorate/quorate"
)

// leasers hold keys for a while and look how long they are there. The rule: a
// key that one of them saw to be gone is never seen again, through whatever node
// and whatever the clock of the next leader says.
type leasers struct {
	world *world
	quit  context.Context
	calls sync.WaitGroup

	// mu guards what follows.
	mu   sync.Mutex
	made int
	all  []*lease
}

// lease is one key, which is held once and never again.
type lease struct {
	name string
	// gone is when a look ended that did not find it; 0 if none did.
	gone time.Duration
}

const (
	leasersCount = 2
	// leasesKept is how many of the newest leases are looked at.
	leasesKept = 8
	leaseMax   = 20 * time.Second
)

func (l *leasers) start() {
	for i := range leasersCount {
		random := source(l.world.plan.Seed, fmt.Sprintf("leaser %d", i))
		l.calls.Go(func() { l.run(random) })
	}
}

func (l *leasers) run(random *rand.Rand) {
	for l.quit.Err() == nil && l.world.ctx.Err() == nil {
		l.world.sleep(time.Duration(1+random.Int64N(500)) * time.Millisecond)
		node, dice := random.IntN(len(l.world.places)), random.IntN(10)
		ttl := time.Duration(1 + random.Int64N(int64(leaseMax)))
		switch pick := random.Uint64(); {
		case dice < 2:
			l.hold(node, ttl)
		default:
			l.look(node, pick, dice == 2)
		}
	}
}

// hold makes a lease. One that may not be there is not looked at.
func (l *leasers) hold(node int, ttl time.Duration) {
	l.mu.Lock()
	l.made++
	name := fmt.Sprint("lease", l.made)
	l.mu.Unlock()
	if reply, ok := l.ask(node, hold{name, int64(ttl)}); ok && reply.Err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.all = append(l.all, &lease{name: name}); len(l.all) > leasesKept {
			l.all = l.all[1:]
		}
	}
}

// look asks whether a lease is there, with a query or with a command.
func (l *leasers) look(node int, pick uint64, command bool) {
	l.mu.Lock()
	if len(l.all) == 0 {
		l.mu.Unlock()
		return
	}
	one := l.all[pick%uint64(len(l.all))]
	gone := one.gone
	l.mu.Unlock()
	began := l.world.now()
	var question any = held{one.name}
	if command {
		question = heldIn(held{one.name})
	}
	reply, ok := l.ask(node, question)
	if !ok || reply.Err != nil {
		return
	}
	if reply.Value.Bool() && gone != 0 {
		l.world.fail("expiry", "%s was gone at %v, and node %d shows it to one who asked at %v (command: %v)", one.name, gone, node, began, command)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !reply.Value.Bool() && one.gone == 0 {
		one.gone = l.world.now()
		l.world.tally.leaseEnded()
	}
}

// ask calls through a node. It is false if nobody heard the answer.
func (l *leasers) ask(node int, operation any) (quorate.Reply, bool) {
	call, err := quorate.NewCall(operation)
	if err != nil {
		l.world.fail("answers", "%v", err)
		return quorate.Reply{}, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.world.plan.Load.Timeout)
	defer cancel()
	replies, sent, heard := l.world.execute(ctx, node, []quorate.Call{call})
	if !sent || !heard || len(replies) != 1 {
		return quorate.Reply{}, false
	}
	return replies[0], true
}

// hold stores a key until some nanoseconds of log time have passed.
type hold struct {
	Key string
	TTL int64
}

func (h hold) Apply(tx *quorate.Tx) (bool, error) {
	tx.SetUntil([]byte(h.Key), nil, tx.Now().Add(time.Duration(h.TTL)))
	return true, nil
}

// held says whether a key is there.
type held struct{ Key string }

func (h held) Read(view *quorate.View) (bool, error) {
	_, found := view.Get([]byte(h.Key))
	return found, nil
}

// heldIn is held as a command.
type heldIn held

func (h heldIn) Apply(tx *quorate.Tx) (bool, error) { return held(h).Read(&tx.View) }
