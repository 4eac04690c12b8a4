package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is clients that put, read, add to, compare and delete integers under a
// few keys, through all nodes, and note what they see.
type load struct {
	on      *cluster
	history *history
	figures *figures
	keys    *keys
	ids     *idBudget
	name    string // of the round, in keys and ids
	clients sync.WaitGroup
	made    atomic.Int64 // numbers values and ids
	stopped atomic.Bool

	// mu guards samples, which is calls under an id to be asked again later.
	mu      sync.Mutex
	samples []sample
}

const (
	loadClients = 12
	// callTimeout is what a node may take. The client waits a little longer,
	// so that it mostly hears an outcome.
	callTimeout   = 1500 * time.Millisecond
	clientTimeout = 2 * time.Second
	// attemptsMax is how often a call with an id is sent before it is left
	// unknown: that is 16 s when nobody answers.
	attemptsMax = 8
	// samplesMax bounds what is asked again through every node after a round.
	samplesMax = 100
)

// sample is a call and its first answer.
type sample struct {
	call  call
	first answer
}

func startLoad(on *cluster, name string, seed uint64, h *history, f *figures, ids *idBudget) *load {
	l := &load{on: on, name: name, history: h, figures: f, ids: ids, keys: newKeys(name)}
	for i := range loadClients {
		l.clients.Go(func() { l.run(i, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	return l
}

// finish ends the load once what is under way has come to its end.
func (l *load) finish() {
	l.stopped.Store(true)
	l.clients.Wait()
}

func (l *load) run(i int, random *rand.Rand) {
	client := newClient(clientTimeout)
	defer client.CloseIdleConnections()
	for !l.stopped.Load() {
		o, key := l.draw(random)
		o.Client = i
		if o.writes() && random.IntN(3) == 0 && l.ids.take() {
			l.once(client, random, o)
		} else {
			l.plain(client, random, o)
		}
		l.history.note(o)
		l.figures.note(o)
		l.keys.saw(key, o)
		if !o.Outcome.answered() {
			time.Sleep(10 * time.Millisecond) // a node that is down refuses at once
		}
	}
}

// draw makes the next operation of a client.
func (l *load) draw(random *rand.Rand) (*operation, *key) {
	key, last := l.keys.draw(random)
	o := &operation{Key: key.name}
	// Values that are far apart tell operations apart, with increments between.
	unique := l.made.Add(1) * 1000
	switch n := random.IntN(10); {
	case n < 4:
		o.Name = get
	case n < 6:
		o.Name, o.Value = inc, 1+random.Int64N(9)
	case n < 8:
		o.Name, o.Value, o.Expect = cas, unique, last
	case n < 9:
		o.Name, o.Value = put, unique
	default:
		o.Name = remove
	}
	return o, key
}

// call is the operation on the wire.
func (o *operation) call() call {
	body := `{"key":` + strconv.Quote(o.Key)
	switch o.Name {
	case put, inc, cas:
		body += fmt.Sprintf(`,"value":%d`, o.Value)
	}
	if o.Name == cas && o.Expect.Found {
		body += fmt.Sprintf(`,"expect":%d`, o.Expect.Value)
	}
	return call{path: "/v1/" + o.Name, body: body + "}", id: o.ID, timeout: callTimeout}
}

// plain sends an operation once.
func (l *load) plain(client *http.Client, random *rand.Rand, o *operation) {
	o.Call = l.history.now()
	a, out := l.on.post(context.Background(), client, random.IntN(clusterSize), o.call())
	o.Return = l.history.now()
	l.conclude(o, a, out)
}

// once sends an operation under an id until it is answered: through one node
// after the other, and sometimes through two at the same time.
func (l *load) once(client *http.Client, random *rand.Rand, o *operation) {
	o.ID = fmt.Sprintf("%s-%d", l.name, l.made.Add(1))
	node, width := random.IntN(clusterSize), 1+random.IntN(6)/5
	doubt := false
	o.Call = l.history.now()
	for attempt := 0; attempt < attemptsMax && (attempt == 0 || !l.stopped.Load()); attempt++ {
		first, answered := answer{}, notApplied
		for _, got := range l.send(client, o.call(), node, width) {
			doubt = doubt || got.outcome == unknown
			switch {
			case !got.outcome.answered():
			case answered == notApplied:
				first, answered = got.answer, got.outcome
			default:
				l.compare(o.call(), first, got.answer)
			}
		}
		if answered != notApplied {
			o.Return = l.history.now()
			l.conclude(o, first, answered)
			l.again(client, random, o.call(), first)
			return
		}
		node++
		time.Sleep(20 * time.Millisecond)
	}
	if doubt {
		o.Outcome = unknown
	} else {
		o.Outcome = notApplied
	}
}

// attempt is what came of sending a call once.
type attempt struct {
	answer  answer
	outcome outcome
}

// send sends a call through so many nodes at the same time.
func (l *load) send(client *http.Client, call call, node, width int) []attempt {
	attempts := make([]attempt, width)
	var sending sync.WaitGroup
	for i := range attempts {
		sending.Go(func() {
			a, out := l.on.post(context.Background(), client, (node+i)%clusterSize, call)
			attempts[i] = attempt{a, out}
		})
	}
	sending.Wait()
	return attempts
}

// again asks sometimes for what was answered already, now or after the round.
func (l *load) again(client *http.Client, random *rand.Rand, call call, first answer) {
	if random.IntN(4) == 0 {
		if a, out := l.on.post(context.Background(), client, random.IntN(clusterSize), call); out.answered() {
			l.compare(call, first, a)
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.samples) < samplesMax {
		l.samples = append(l.samples, sample{call, first})
	} else {
		l.samples[random.IntN(samplesMax)] = sample{call, first}
	}
}

// compare holds two answers under one id against each other.
func (l *load) compare(call call, first, other answer) {
	l.figures.repeats.Add(1)
	if !first.same(other) {
		l.on.t.Errorf("%s %s under id %s was answered %v and then %v", call.path, call.body, call.id, first, other)
	}
}

// conclude reads an answer into the operation.
func (l *load) conclude(o *operation, a answer, out outcome) {
	o.Outcome, o.Error = out, a.Error
	if !ordinary(o, a) {
		l.on.t.Errorf("%s %s was answered %v", o.Name, o.Key, a)
	}
	if !out.answered() {
		return
	}
	if o.Name == remove {
		o.Answer.Found = string(a.Value) == "true"
		return
	}
	var err error
	if o.Answer.Value, o.Answer.Found, err = a.integer(); err != nil {
		l.on.t.Errorf("%s %s: %v", o.Name, o.Key, err)
	}
}

// ordinary says that an answer is one that this load may get.
func ordinary(o *operation, a answer) bool {
	switch a.Code {
	case "", "unavailable", "overloaded":
		return true
	case "not_found":
		return o.Name == get
	case "conflict":
		return o.Name == cas
	}
	return false
}

// checkLater reads every key through every node, and asks every node for what
// was answered under ids. The cluster is whole and the load has ended.
func (l *load) checkLater() {
	l.on.t.Helper()
	for _, name := range l.history.names() {
		for node := range clusterSize {
			o := &operation{Client: loadClients, Name: get, Key: name}
			o.Call = l.history.now()
			a, out := l.on.ask(node, o.call())
			o.Return = l.history.now()
			l.conclude(o, a, out)
			if !out.answered() {
				l.on.t.Errorf("node %d of a whole cluster does not answer a read: %v", node, a)
			}
			l.history.note(o)
			l.figures.note(o)
		}
	}
	for _, s := range l.samples {
		for node := range clusterSize {
			a, out := l.on.ask(node, s.call)
			if !out.answered() {
				l.on.t.Errorf("node %d of a whole cluster does not answer a call again: %v", node, a)
				continue
			}
			l.compare(s.call, s.first, a)
		}
	}
}
