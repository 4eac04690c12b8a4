package torture

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// wires is TCP proxies between nodes: one for each node that dials and each it
// dials to. What matters is the direction in which bytes flow, from a node to
// another, whichever of the two dialled. Bytes of a direction that is held
// are not lost: they wait, as behind a switch that lost its way, and behind
// them the connection fills up.
type wires struct {
	peers     []string
	listeners map[direction]net.Listener // by who dials whom
	running   sync.WaitGroup

	// mu guards what follows.
	mu     sync.Mutex
	turned sync.Cond // something that follows has changed
	flows  map[direction]*flow
	pipes  []*pipe
	closed bool
}

// direction is from one node to another.
type direction struct{ from, to int }

func (d direction) reverse() direction { return direction{d.to, d.from} }

// flow is what happens to the bytes of a direction.
type flow struct {
	held  int // how many faults hold it at the moment
	delay time.Duration
}

// pipe is one connection through a proxy, from the dialler's side on.
type pipe struct {
	direction      direction
	source, target net.Conn
}

// Of each direction of a connection, this much is under way in a proxy: 16
// pieces of 32 KiB.
const (
	pieceBytesMax = 32 << 10
	piecesMax     = 16
)

// piece is bytes that are not to arrive before their time.
type piece struct {
	data []byte
	due  time.Time
}

// newWires opens the proxies between nodes with these peer addresses.
func newWires(t testing.TB, peers []string) *wires {
	t.Helper()
	w := &wires{peers: peers, listeners: make(map[direction]net.Listener), flows: make(map[direction]*flow)}
	w.turned.L = &w.mu
	t.Cleanup(w.close)
	for from := range peers {
		for to := range peers {
			if from == to {
				continue
			}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			d := direction{from, to}
			w.listeners[d], w.flows[d] = listener, new(flow)
			w.running.Go(func() { w.accept(d, listener) })
		}
	}
	return w
}

// dials is where a node must dial to reach the others through the wires.
func (w *wires) dials(from int) map[string]string {
	through := make(map[string]string)
	for to, peer := range w.peers {
		if to != from {
			through[peer] = w.listeners[direction{from, to}].Addr().String()
		}
	}
	return through
}

func (w *wires) accept(d direction, listener net.Listener) {
	for {
		source, err := listener.Accept()
		if err != nil {
			return
		}
		w.running.Go(func() { w.connect(d, source) })
	}
}

// connect carries one connection until it ends.
func (w *wires) connect(d direction, source net.Conn) {
	defer source.Close()
	target, err := net.DialTimeout("tcp", w.peers[d.to], time.Second)
	if err != nil {
		return
	}
	defer target.Close()
	p := &pipe{d, source, target}
	if !w.add(p) {
		return
	}
	defer w.remove(p)
	var both sync.WaitGroup
	both.Go(func() { w.carry(d, source, target) })
	both.Go(func() { w.carry(d.reverse(), target, source) })
	both.Wait()
}

func (w *wires) add(p *pipe) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.pipes = append(w.pipes, p)
	}
	return !w.closed
}

func (w *wires) remove(p *pipe) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pipes = slices.DeleteFunc(w.pipes, func(q *pipe) bool { return q == p })
}

// carry moves bytes until source ends or target takes no more. The end of the
// source arrives behind its bytes, and is held as they are.
func (w *wires) carry(d direction, source, target net.Conn) {
	pieces := make(chan piece, piecesMax)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(pieces)
		for {
			data := make([]byte, pieceBytesMax)
			n, err := source.Read(data)
			if n > 0 {
				pieces <- piece{data[:n], time.Now().Add(w.delayOf(d))}
			}
			if err != nil {
				return
			}
		}
	})
	var err error
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		w.await(d)
		if err == nil { // after an error what comes is taken and dropped
			if _, err = target.Write(p.data); err != nil {
				source.Close()
			}
		}
	}
	reading.Wait()
	w.await(d)
	if conn, ok := target.(*net.TCPConn); ok {
		_ = conn.CloseWrite()
	}
}

func (w *wires) delayOf(d direction) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flows[d].delay
}

// await waits until a direction is not held.
func (w *wires) await(d direction) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.flows[d].held > 0 && !w.closed {
		w.turned.Wait()
	}
}

// hold keeps the bytes of a direction back until release.
func (w *wires) hold(d direction) { w.change(func() { w.flows[d].held++ }) }

// release undoes one hold.
func (w *wires) release(d direction) { w.change(func() { w.flows[d].held-- }) }

// delay lets the bytes of a direction arrive so much later; 0 ends it.
func (w *wires) delay(d direction, by time.Duration) { w.change(func() { w.flows[d].delay = by }) }

func (w *wires) change(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
	w.turned.Broadcast()
}

// reset breaks every connection between two nodes, so that each of them gets
// an error and what was under way is lost.
func (w *wires) reset(d direction) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.pipes {
		if p.direction == d || p.direction == d.reverse() {
			p.reset()
		}
	}
}

func (p *pipe) reset() {
	for _, conn := range []net.Conn{p.source, p.target} {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// close ends all proxies and all that they carry.
func (w *wires) close() {
	for _, listener := range w.listeners {
		_ = listener.Close()
	}
	w.change(func() {
		w.closed = true
		for _, p := range w.pipes {
			p.reset()
		}
	})
	w.running.Wait()
}

// wire is both ends of a connection through proxies: node 0 dialled node 1.
func wire(t *testing.T) (w *wires, dialler, listener net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w = newWires(t, []string{"127.0.0.1:1", l.Addr().String()})
	if dialler, err = net.Dial("tcp", w.dials(0)[l.Addr().String()]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialler.Close() })
	if listener, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return w, dialler, listener
}

// mustArrive sends a byte and awaits it on the other side.
func mustArrive(t *testing.T, source, target net.Conn) {
	t.Helper()
	if _, err := source.Write([]byte{7}); err != nil {
		t.Fatal(err)
	}
	mustRead(t, target)
}

func mustRead(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestDirectionThatIsHeldKeepsItsBytesWhileTheOtherFlows(t *testing.T) {
	w, dialler, listener := wire(t)
	mustArrive(t, dialler, listener)
	w.hold(direction{0, 1})
	if _, err := dialler.Write([]byte{7}); err != nil {
		t.Fatal(err)
	}
	mustArrive(t, listener, dialler)
	_ = listener.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := listener.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Fatal("a byte came through a direction that is held")
	}
	w.release(direction{0, 1})
	mustRead(t, listener)
}

func TestResetEndsConnectionsOnBothSides(t *testing.T) {
	w, dialler, listener := wire(t)
	mustArrive(t, dialler, listener)
	mustArrive(t, listener, dialler)
	w.reset(direction{1, 0})
	for _, conn := range []net.Conn{dialler, listener} {
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("after a reset a connection ends with %v", err)
		}
	}
}

func TestDelayLetsBytesArriveLaterAndInOrder(t *testing.T) {
	w, dialler, listener := wire(t)
	mustArrive(t, dialler, listener)
	const by = 50 * time.Millisecond
	w.delay(direction{0, 1}, by)
	sent := time.Now()
	mustArrive(t, dialler, listener)
	if took := time.Since(sent); took < by {
		t.Errorf("a byte arrived after %v, before its delay of %v", took, by)
	}
}
