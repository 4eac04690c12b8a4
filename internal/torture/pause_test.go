//go:build unix

package torture

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// pauses is a leader that is paused again and again under load.
type pauses struct {
	c       *cluster
	load    *counting
	random  *rand.Rand
	readers []*http.Client

	queued, answered atomic.Int64
}

const (
	// queuedEarly reads wait on the paused leader from the beginning, and
	// queuedLate are sent when another leader has acknowledged more. They are
	// many because the node learns of its successor in less than a millisecond
	// after it wakes: some should be served before that.
	queuedEarly, queuedLate = 8, 120
	// queuedTimeout is longer than any pause.
	queuedTimeout = 20 * time.Second
)

// TestLeaderThatWakesFromAPauseAnswersNothingStale stops the leader with
// SIGSTOP under load, queues reads on it, has another leader acknowledge newer
// values, and lets the first one go on. Confirmations that lay in its sockets
// since before the pause must not make it answer, and what it had taken in
// must not be lost or counted twice.
func TestLeaderThatWakesFromAPauseAnswersNothingStale(t *testing.T) {
	times := count(2, 100)
	c := newCluster(t, settings{own: true})
	seed := newSeed(t)
	start := time.Now()
	p := &pauses{c: c, load: startCounting(c, seed), random: rand.New(rand.NewPCG(seed, 1<<32))}
	defer p.load.cancel()
	for range queuedEarly + queuedLate {
		client := newClient(queuedTimeout)
		defer client.CloseIdleConnections()
		p.readers = append(p.readers, client)
	}
	for range times {
		if p.once(); t.Failed() {
			break
		}
	}
	p.load.finish()
	p.check(times)
	c.waitConverged()
	t.Logf("%v", time.Since(start).Round(time.Millisecond))
}

// once pauses the leader one time.
func (p *pauses) once() {
	time.Sleep(time.Duration(p.random.IntN(100)) * time.Millisecond)
	leader := p.c.leader()
	p.connect(leader)
	p.c.must(p.c.nodes[leader].pause())
	early := p.queue(leader, p.readers[:queuedEarly])
	p.overtake(leader)
	late := p.queue(leader, p.readers[queuedEarly:])
	time.Sleep(time.Duration(p.random.IntN(100)) * time.Millisecond)
	p.c.must(p.c.nodes[leader].resume())
	early.Wait()
	late.Wait()
	p.c.waitReady(leader)
}

// connect sees to it that every reader has a connection to a node: on one that
// is made while the node is paused, its read would come too late.
func (p *pauses) connect(node int) {
	var reading sync.WaitGroup
	for _, client := range p.readers {
		reading.Go(func() { p.load.tallies[0].read(context.Background(), p.c, client, node) })
	}
	reading.Wait()
}

// overtake waits until another leader has acknowledged more on every counter.
func (p *pauses) overtake(paused int) {
	p.c.waitFor(20*time.Second, "another node leads", func() error {
		if now := p.c.leads(); now < 0 || now == paused {
			return errors.New("none does")
		}
		return nil
	})
	p.load.overtake((paused + 1) % clusterSize)
}

// queue sends reads to a paused node and returns once they are in its sockets.
// What it returns waits for their end.
func (p *pauses) queue(node int, clients []*http.Client) *sync.WaitGroup {
	var sent, ended sync.WaitGroup
	for i, client := range clients {
		sent.Add(1)
		ended.Go(func() {
			away := sync.OnceFunc(sent.Done)
			defer away()
			ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
				WroteRequest: func(httptrace.WroteRequestInfo) { away() },
			})
			p.queued.Add(1)
			if p.load.tallies[i%len(p.load.tallies)].read(ctx, p.c, client, node) {
				p.answered.Add(1)
			}
		})
	}
	sent.Wait()
	return &ended
}

// check compares all counters with what clients know in the end.
func (p *pauses) check(times int) {
	acknowledged := p.load.check()
	p.c.t.Logf("%d pauses of a leader: %d reads queued on it, %d of them answered and none stale; %d increments acknowledged",
		times, p.queued.Load(), p.answered.Load(), acknowledged)
	if acknowledged < int64(times)*100 {
		p.c.t.Errorf("only %d increments were acknowledged: the cluster hardly served", acknowledged)
	}
}
