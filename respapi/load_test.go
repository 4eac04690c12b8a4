package respapi_test

import (
	"context"
	"flag"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate/respapi"
)

// Each connection has both of its ends in this process, so that 5,000 need some
// 10,000 open files:
//
//	go test ./respapi -run TestDribbling -dribble=5000 -v
//	go test ./respapi -run TestIdle -idle=10000 -v
var (
	dribbles = flag.Int("dribble", 20, "connections that send a byte a second")
	idles    = flag.Int("idle", 100, "connections that send nothing")
)

// dribbleEnough is how many connections it takes to judge what they cost the
// others, which with few is noise.
const dribbleEnough = 1000

// TestDribblingConnectionsDoNotSlowOthers measures others while connections
// dribble and while they do not, in turns.
func TestDribblingConnectionsDoNotSlowOthers(t *testing.T) {
	_, address := mustServe(t, respapi.Config{MaxClients: *dribbles + 100})
	phases, phase := 2, 200*time.Millisecond
	if *dribbles >= dribbleEnough {
		phases, phase = 16, 2*time.Second
	}
	var dribbling atomic.Bool
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for i := range *dribbles {
		c := mustDial(t, address)
		all.Go(func() { dribble(ctx, c, time.Duration(i)*time.Second/time.Duration(*dribbles), &dribbling) })
	}
	var with, without []time.Duration
	other := mustDial(t, address)
	for i := range phases {
		dribbling.Store(i%2 == 1)
		p99 := measure(other, phase)
		if i%2 == 1 {
			with = append(with, p99)
		} else {
			without = append(without, p99)
		}
	}
	slices.Sort(with)
	slices.Sort(without)
	a, b := without[len(without)/2], with[len(with)/2]
	t.Logf("%d connections: p99 of another %v without, %v while they dribble (%+.1f %%); all: %v %v",
		*dribbles, a, b, 100*(float64(b)/float64(a)-1), without, with)
	if *dribbles >= dribbleEnough && float64(b) > 1.1*float64(a) {
		t.Errorf("p99 rises from %v to %v, more than a tenth", a, b)
	}
}

// dribble sends a call that never ends, a byte a second, beginning anew where
// the server has closed the connection.
func dribble(ctx context.Context, c net.Conn, offset time.Duration, dribbling *atomic.Bool) {
	packet := callBytes("ECHO", "a value that takes long to arrive")
	timer := time.NewTimer(offset)
	defer timer.Stop()
	for i := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(time.Second)
		}
		if !dribbling.Load() {
			continue
		}
		if _, err := c.Write(packet[i : i+1]); err != nil {
			return
		}
		i = (i + 1) % len(packet)
	}
}

// measure makes calls at an even pace, and returns the p99 of how long they
// took.
func measure(c *talker, phase time.Duration) time.Duration {
	var took []time.Duration
	for end := time.Now().Add(phase); time.Now().Before(end); {
		begin := time.Now()
		c.mustAnswer("SET a 1", "+OK")
		took = append(took, time.Since(begin))
		runtime.Gosched()
	}
	slices.Sort(took)
	return took[len(took)*99/100]
}

// idleBytesMost bounds what both ends of a silent connection cost.
// With few, what else is in the process is as much.
const (
	idleBytesMost = 8 << 10
	idleEnough    = 1000
)

// TestIdleConnectionsCostLittle measures the memory of connections that have
// said something and are silent since.
func TestIdleConnectionsCostLittle(t *testing.T) {
	_, address := mustServe(t, respapi.Config{MaxClients: *idles + 1})
	used := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := used()
	for range *idles {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := c.Write(callBytes("SET", "a", "1")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 16)); err != nil {
			t.Fatal(err)
		}
	}
	busy := (used() - before) / uint64(*idles)
	most := uint64(idleBytesMost)
	if *idles < idleEnough {
		most *= 2
	}
	var each uint64
	for end := time.Now().Add(4 * time.Second); ; time.Sleep(100 * time.Millisecond) { // for the system to be silent
		if each = (used() - before) / uint64(*idles); each < most || time.Now().After(end) {
			break
		}
	}
	t.Logf("%d connections cost %d bytes each, %d when they are silent, both ends together", *idles, busy, each)
	if each > most {
		t.Errorf("a silent connection costs %d bytes, want %d at most", each, most)
	}
}
