package client_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/kv"
)

// deed is what a door does with a frame.
type deed int

const (
	serve       deed = iota
	swallow          // take it and never answer, nor anything behind it
	hangUp           // close the connection without running it
	runAndHide       // run it, and close the connection without an answer
	runAndBreak      // run it, and close the connection within the answer
	answerTwice      // run it and answer two times
	babble           // run it and answer what is not of the protocol
	misspell         // run it and answer a bulk string that is no replies
	miscount         // run it and answer one reply too many
	speakOther       // run it and answer another kind of value
	refuseFrame      // answer an error without running it
)

// frame is what a door got.
type frame struct {
	calls   []quorate.Call
	timeout time.Duration
}

// door speaks the frames of a node in front of an executor, and misbehaves
// where it is told to.
type door struct {
	executor quorate.Executor
	// deed, if not nil, says what to do with a frame, the first being 0.
	deed func(n int, f frame) deed
	// password, if not empty, must be said first.
	password string

	frames   atomic.Int64
	accepted atomic.Int64

	mu     sync.Mutex
	log    []frame
	conns  []net.Conn
	thawed chan struct{} // closed unless the door is frozen
	ended  chan struct{}
	wait   sync.WaitGroup
	listen net.Listener
}

func newDoor(executor quorate.Executor) *door {
	d := &door{executor: executor, thawed: make(chan struct{}), ended: make(chan struct{})}
	close(d.thawed)
	return d
}

func (d *door) serve(l net.Listener) {
	d.listen = l
	d.wait.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			d.accepted.Add(1)
			d.mu.Lock()
			d.conns = append(d.conns, nc)
			d.mu.Unlock()
			d.wait.Go(func() {
				defer nc.Close()
				d.handle(nc)
			})
		}
	})
}

func (d *door) close() {
	close(d.ended)
	_ = d.listen.Close()
	d.breakAll()
	d.wait.Wait()
}

// breakAll closes all connections.
func (d *door) breakAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, nc := range d.conns {
		_ = nc.Close()
	}
	d.conns = nil
}

// freeze stops the door as SIGSTOP does a process; thaw lets it go on.
func (d *door) freeze() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.thawed = make(chan struct{})
}

func (d *door) thaw() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.thawed)
}

// awake waits while the door is frozen. It is false if the door is closed.
func (d *door) awake() bool {
	d.mu.Lock()
	thawed := d.thawed
	d.mu.Unlock()
	select {
	case <-thawed:
		return true
	case <-d.ended:
		return false
	}
}

// reads is a connection on which a frozen door reads nothing.
type reads struct {
	net.Conn
	door *door
}

func (r reads) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	if !r.door.awake() {
		return 0, io.EOF
	}
	return n, err
}

func (d *door) handle(nc net.Conn) {
	limits := resp.LimitsAfter(nil)
	limits.BulkBytes = 2 << 20
	reader := resp.NewReader(reads{nc, d}, limits)
	known := d.password == ""
	for {
		calls, err := reader.Read()
		if err != nil {
			return
		}
		for _, call := range calls {
			if string(call[0]) == "AUTH" {
				known = string(call[1]) == d.password
				if !known {
					_, _ = nc.Write(resp.AppendError(nil, "WRONGPASS", "invalid username-password pair or user is disabled."))
					continue
				}
				_, _ = nc.Write(resp.AppendSimple(nil, "OK"))
				continue
			}
			if !known {
				_, _ = nc.Write(resp.AppendError(nil, "NOAUTH", "Authentication required."))
				continue
			}
			if !d.answer(nc, call) {
				return
			}
		}
	}
}

// answer does with a frame what it is told. False ends the connection.
func (d *door) answer(nc net.Conn, call resp.Call) bool {
	var ms int
	if _, err := fmt.Sscan(string(call[2]), &ms); err != nil || string(call[0])+string(call[1]) != "QUORATEEXECUTE" || ms < 1 {
		_, _ = nc.Write(resp.AppendError(nil, "ERR", "unknown command"))
		return true
	}
	calls, rest, err := entry.ReadCalls(call[3])
	if err != nil || len(rest) > 0 {
		_, _ = nc.Write(resp.AppendError(nil, "ERR", "the calls of the frame cannot be read"))
		return true
	}
	f := frame{calls, time.Duration(ms) * time.Millisecond}
	do := serve
	if len(calls) > 0 { // the first of a connection has none
		d.mu.Lock()
		d.log = append(d.log, f)
		d.mu.Unlock()
		n := int(d.frames.Add(1)) - 1
		if d.deed != nil {
			do = d.deed(n, f)
		}
	}
	return d.do(nc, f, do)
}

func (d *door) do(nc net.Conn, f frame, do deed) bool {
	switch do {
	case swallow:
		<-d.ended
		return false
	case hangUp:
		return false
	case refuseFrame:
		_, _ = nc.Write(resp.AppendError(nil, "ERR", "not today"))
		return true
	}
	var replies []quorate.Reply
	if len(f.calls) > 0 {
		ctx, cancel := context.WithTimeout(context.Background(), f.timeout)
		replies = d.executor.Execute(ctx, f.calls)
		cancel()
	}
	good := resp.AppendBulk(nil, entry.AppendReplies(nil, replies))
	switch do {
	case runAndHide:
		return false
	case runAndBreak:
		_, _ = nc.Write(good[:len(good)-3])
		return false
	case answerTwice:
		_, _ = nc.Write(slices.Concat(good, good))
		return true
	case babble:
		good = []byte("HTTP/1.1 200 OK\r\n\r\n")
	case misspell:
		good = resp.AppendBulk(nil, "\x01nonsense")
	case miscount:
		good = resp.AppendBulk(nil, entry.AppendReplies(nil, append(replies, quorate.Reply{})))
	case speakOther:
		good = resp.AppendInt(nil, 7)
	}
	_, err := nc.Write(good)
	return err == nil
}

// seen is the frames that the door got so far.
func (d *door) seen() []frame {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.log)
}

// cluster is doors in a bubble, each on a host of its own, in front of one
// state, as nodes of one cluster are.
type cluster struct {
	t     *testing.T
	net   *memnet.Network
	state *memory.Executor
	doors []*door
}

// inBubble runs f on virtual time. All goroutines must end with it.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func startCluster(t *testing.T, n int) *cluster {
	t.Helper()
	c := &cluster{t: t, net: memnet.New(), state: memory.New(kv.Service)}
	// Remembered calls are what makes a retry safe.
	once := newOnce(c.state)
	for i := range n {
		c.doors = append(c.doors, newDoor(once))
		c.listen(i)
	}
	return c
}

func (c *cluster) listen(i int) {
	c.t.Helper()
	l, err := c.net.Listen(address(i))
	if err != nil {
		c.t.Fatal(err)
	}
	c.doors[i].serve(l)
}

// restart replaces a door that was closed by one that does the same.
func (c *cluster) restart(i int) {
	c.t.Helper()
	before := c.doors[i]
	c.doors[i] = newDoor(before.executor)
	c.doors[i].deed = before.deed
	c.listen(i)
}

func (c *cluster) close() {
	for _, d := range c.doors {
		select {
		case <-d.ended:
		default:
			d.close()
		}
	}
}

func address(i int) string { return fmt.Sprintf("n%d:7301", i) }

// config is that of a client of all doors.
func (c *cluster) config() client.Config {
	config := client.Config{Dial: c.net.Host("c").Dial}
	for i := range c.doors {
		config.Addrs = append(config.Addrs, address(i))
	}
	return config
}

func (c *cluster) open(change ...func(*client.Config)) *client.Client {
	c.t.Helper()
	config := c.config()
	for _, f := range change {
		f(&config)
	}
	return mustOpen(c.t, config)
}

func mustOpen(t testing.TB, config client.Config) *client.Client {
	t.Helper()
	made, err := client.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func mustClose(t testing.TB, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// once remembers the answers of calls with an id, as nodes do.
type once struct {
	executor quorate.Executor

	mu      sync.Mutex
	known   map[quorate.CallID]quorate.Reply
	settled map[string]uint64
	// late counts calls that came after they were settled.
	late int
}

func newOnce(executor quorate.Executor) *once {
	return &once{executor: executor, known: make(map[quorate.CallID]quorate.Reply), settled: make(map[string]uint64)}
}

func (o *once) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	o.mu.Lock()
	defer o.mu.Unlock()
	replies := make([]quorate.Reply, len(calls))
	for i, call := range calls {
		replies[i] = o.run(ctx, call)
	}
	return replies
}

func (o *once) run(ctx context.Context, call quorate.Call) quorate.Reply {
	session, number, ok := engine.Session(string(call.ID))
	if ok && number < o.settled[session] {
		o.late++
		return quorate.Reply{Index: 1, Err: &quorate.Error{Code: quorate.IDReused, Outcome: quorate.Unknown, Message: "settled"}}
	}
	if ok {
		o.settled[session] = max(o.settled[session], call.Settled)
	}
	if reply, ok := o.known[call.ID]; ok {
		return reply
	}
	id := call.ID
	call.ID, call.Settled = "", 0
	reply := o.executor.Execute(ctx, []quorate.Call{call})[0]
	if id != "" {
		o.known[id] = reply
	}
	return reply
}

func inc(ctx context.Context, on quorate.Executor, key string) (int64, error) {
	return quorate.Do(ctx, on, kv.Inc{Key: kv.Key(key), By: 1})
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
