package differ

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// side is one server in one trial.
type side struct {
	server
	versions [connections]string
	conns    [connections + 1]*conn // and the prober
}

// begin opens a connection, or returns the one that is open.
func (s *side) begin(number int) (*conn, error) {
	if c := s.conns[number]; c != nil {
		return c, nil
	}
	c, err := newConn(s.server, number)
	if err != nil {
		return nil, err
	}
	s.conns[number] = c
	if number == prober {
		return c, nil
	}
	if err := c.send([]call{{args: []string{"HELLO", s.versions[number]}}}); err != nil {
		return nil, err
	}
	answer, err := c.reply()
	if err == nil && answer[0] == '-' {
		err = errors.New(string(answer))
	}
	if err != nil {
		return nil, fmt.Errorf("HELLO %s to %s: %w", s.versions[number], s.name, err)
	}
	return c, nil
}

// send writes the calls of a step.
func (s *side) send(p step) error {
	c, err := s.begin(p.conn)
	if err != nil {
		return err
	}
	return c.send(p.calls)
}

// reply reads the next answer. The end of the connection is one too.
func (s *side) reply(number int) string {
	answer, err := s.conns[number].reply()
	switch {
	case errors.Is(err, io.EOF) && len(answer) == 0:
		return "the connection was closed"
	case err != nil:
		return fmt.Sprintf("%q and then: %v", answer, err)
	}
	return string(answer)
}

// drop closes a connection. The next step that needs it opens another.
func (s *side) drop(number int) {
	if c := s.conns[number]; c != nil {
		c.Close()
		s.conns[number] = nil
	}
}

func (s *side) close() {
	for i := range s.conns {
		s.drop(i)
	}
}

// difference is where two servers part.
type difference struct {
	step  int
	call  call
	pair  [2]string // the answers, of Redis first
	names [2]string
	why   string // a rule that knows the call, and did not let it pass
}

// String tells it.
func (d *difference) String() string {
	text := fmt.Sprintf("step %d, %v\n", d.step, d.call)
	for i, answer := range d.pair {
		text += fmt.Sprintf("  %-12s %s\n", d.names[i], abbreviate(answer))
	}
	if d.why != "" {
		text += "  " + d.why + "\n"
	}
	return text
}

// abbreviate shows an answer, as far as one wants to read it.
func abbreviate(answer string) string {
	if len(answer) > 1500 {
		return fmt.Sprintf("%q… (%d bytes)", answer[:1500], len(answer))
	}
	return fmt.Sprintf("%q", answer)
}

// errParted says that the servers hold different keys from now on, as a rule
// allows: the trial is over, and found nothing.
var errParted = errors.New("the servers parted as they are meant to")

// errVoid says that a trial took too long between calls to tell anything.
var errVoid = errors.New("a step that waits for keys to end took too long")

// trial runs one sequence on two servers.
type trial struct {
	sides [2]*side
	// queued is the calls of the transaction of each connection.
	queued [connections][]call
	// missing is the keys that each connection watches and that were not there
	// when it began to.
	missing [connections][]string
	rules   *rules
}

// run compares two servers on a sequence. Its error says that it could not.
func run(redis, ours server, s sequence, r *rules) (*difference, error) {
	t := trial{rules: r}
	for i, server := range []server{redis, ours} {
		t.sides[i] = &side{server: server, versions: s.versions}
		defer t.sides[i].close()
		if err := t.sides[i].clear(); err != nil {
			return nil, err
		}
	}
	for i, p := range s.steps {
		found, err := t.step(p)
		if found != nil {
			found.step, found.names = i, [2]string{redis.name, ours.name}
		}
		if errors.Is(err, errParted) {
			return nil, nil
		}
		if found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil
}

// clear empties the server. Both sides get the connection of the prober, for
// clients are listed.
func (s *side) clear() error {
	if _, err := s.begin(prober); err != nil {
		return err
	}
	if err := s.send(step{conn: observer, calls: []call{{args: []string{"FLUSHALL"}}}}); err != nil {
		return err
	}
	if answer := s.reply(observer); answer != "+OK\r\n" {
		return fmt.Errorf("FLUSHALL of %s: %q", s.name, answer)
	}
	return nil
}

// step runs one step on both servers.
func (t *trial) step(p step) (*difference, error) {
	if p.walk {
		return t.walk(p)
	}
	began := time.Now()
	for _, s := range t.sides {
		if err := s.send(p); err != nil {
			return nil, err
		}
	}
	calls := p.calls
	if p.answers > 0 {
		calls = calls[len(calls)-p.answers:]
	}
	for _, c := range calls {
		pair := t.pair(p.conn)
		if err := t.watch(p.conn, c, pair); err != nil {
			return nil, err
		}
		if found := t.compare(p.conn, c, pair); found != nil {
			return found, nil
		}
	}
	if p.pause > 0 && time.Since(began) > slack {
		return nil, errVoid
	}
	time.Sleep(p.pause)
	if last := calls[len(calls)-1]; last.name() == "QUIT" {
		return t.ended(p.conn, last), nil
	}
	return nil, nil
}

// watch keeps which keys were missing when they were watched, and finds where
// that is why EXEC parts the servers.
func (t *trial) watch(number int, c call, pair [2]string) error {
	switch name := c.name(); {
	case name == "WATCH" && pair[0] == "+OK\r\n":
		gone, err := t.absent(c.args[1:])
		t.missing[number] = append(t.missing[number], gone...)
		return err
	case name == "EXEC" && pair[0] == nullArray(pair[0]) && strings.HasPrefix(pair[1], "*") && pair[1] != pair[0]:
		gone, err := t.absent(t.missing[number])
		if err == nil && len(gone) > 0 {
			t.rules.used[cameAndWent]++
			return errParted
		}
		return err
	case slices.Contains([]string{"EXEC", "DISCARD", "UNWATCH", "RESET", "QUIT"}, name) && !strings.HasPrefix(pair[0], "-ERR"):
		t.missing[number] = nil
	}
	return nil
}

// nullArray is how the protocol of an answer writes that there is none.
func nullArray(answer string) string {
	if strings.HasPrefix(answer, "_") {
		return "_\r\n"
	}
	return "*-1\r\n"
}

// absent is those of the keys that the redis-server does not have. It is asked
// on a connection of its own.
func (t *trial) absent(keys []string) (gone []string, err error) {
	for _, key := range keys {
		if err := t.sides[0].send(step{conn: prober, calls: []call{{args: []string{"EXISTS", key}}}}); err != nil {
			return nil, err
		}
		if t.sides[0].reply(prober) == ":0\r\n" {
			gone = append(gone, key)
		}
	}
	return gone, nil
}

// pair reads the next answer of both.
func (t *trial) pair(number int) [2]string {
	return [2]string{t.sides[0].reply(number), t.sides[1].reply(number)}
}

// ended compares how the connection ends behind QUIT.
func (t *trial) ended(number int, quit call) *difference {
	pair := t.pair(number)
	for _, s := range t.sides {
		s.drop(number)
	}
	t.queued[number] = nil
	if pair[0] != pair[1] {
		return &difference{call: quit, pair: pair}
	}
	return nil
}

// compare compares two answers to a call, those of a transaction one by one.
func (t *trial) compare(number int, c call, pair [2]string) *difference {
	queued := t.queued[number]
	switch c.name() {
	case "MULTI":
		if pair[0] == "+OK\r\n" {
			t.queued[number] = nil
		}
	case "EXEC", "DISCARD", "RESET":
		t.queued[number] = nil
	}
	if pair[0] == "+QUEUED\r\n" {
		t.queued[number] = append(queued, c)
	}
	if pair[0] == pair[1] {
		return nil
	}
	a, isA := elements([]byte(pair[0]))
	b, isB := elements([]byte(pair[1]))
	if c.name() != "EXEC" || !isA || !isB || len(a) != len(b) || len(a) != len(queued) {
		return t.judge(c, pair)
	}
	for i, c := range queued {
		if found := t.judge(c, [2]string{string(a[i]), string(b[i])}); found != nil {
			found.call.args = append([]string{"EXEC:"}, c.args...)
			return found
		}
	}
	return nil
}

// judge lets two answers pass that are the same or fall under a rule.
func (t *trial) judge(c call, pair [2]string) *difference {
	if pair[0] == pair[1] {
		return nil
	}
	found := &difference{call: c, pair: pair}
	a, errA := value([]byte(pair[0]))
	b, errB := value([]byte(pair[1]))
	if errA != nil || errB != nil {
		return found
	}
	passed, why := t.rules.pass(c, a, b)
	if found.why = why; passed {
		return nil
	}
	return found
}

// walkMax bounds the calls of one walk.
const walkMax = 10_000

// walk has both servers list all keys, cursor by cursor.
func (t *trial) walk(p step) (*difference, error) {
	var pair [2]string
	for i, s := range t.sides {
		names, answer, err := s.walk(p)
		if err != nil {
			return nil, err
		}
		if pair[i] = answer; answer != "" {
			continue
		}
		slices.Sort(names)
		distinct := slices.Compact(slices.Clone(names))
		if i == 0 {
			names = distinct // Redis may show a key twice; we must not
		}
		pair[i] = fmt.Sprintf("keys %q", names)
	}
	if pair[0] != pair[1] {
		return &difference{call: p.calls[0], pair: pair}, nil
	}
	return nil, nil
}

// walk is the keys that a server lists, or what it answers that is no list.
func (s *side) walk(p step) (names []string, answer string, err error) {
	args := slices.Clone(p.calls[0].args)
	for range walkMax {
		if err := s.send(step{conn: p.conn, calls: []call{{args: args}}}); err != nil {
			return nil, "", err
		}
		answer = s.reply(p.conn)
		list, ok := elements([]byte(answer))
		if !ok || len(list) != 2 {
			return nil, answer, nil
		}
		page, _ := elements(list[1])
		for _, name := range page {
			names = append(names, text(name))
		}
		if args[1] = text(list[0]); args[1] == "0" {
			return names, "", nil
		}
	}
	return nil, fmt.Sprintf("no end after %d calls", walkMax), nil
}

// text is the bytes of a bulk string.
func text(reply []byte) string {
	_, text, _ := bytes.Cut(reply, []byte("\r\n"))
	return strings.TrimSuffix(string(text), "\r\n")
}
