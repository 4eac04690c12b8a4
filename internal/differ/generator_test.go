package differ

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/kv"
)

// generator draws sequences.
type generator struct {
	*rand.Rand
	// times counts the times of expiry that were drawn: each is another one.
	times int
	// focus, if there is one, is the key of all calls.
	focus string
}

// newSequence draws the sequence of a seed.
func newSequence(seed uint64) sequence {
	g := generator{Rand: rand.New(rand.NewPCG(seed, 0))}
	s := sequence{seed: seed}
	for i := range s.versions {
		s.versions[i] = one(g, []string{"2", "3"})
	}
	for length := 20 + g.IntN(100); s.calls() < length; {
		s.steps = append(s.steps, g.steps()...)
	}
	s.steps = append(s.steps, g.look())
	return s
}

// one draws an element.
func one[T any](g generator, list []T) T { return list[g.IntN(len(list))] }

// chance is true so many times of a hundred.
func (g *generator) chance(percent int) bool { return g.IntN(100) < percent }

// steps draws a piece of a sequence.
func (g *generator) steps() []step {
	switch n := g.IntN(1000); {
	case n < 90:
		return g.transaction()
	case n < 150:
		return []step{{conn: observer, walk: true, calls: []call{{args: g.expand("SCAN 0 walkOption*")}}}}
	case n < 250:
		return []step{g.look()}
	case n < 252:
		return g.wait()
	case n < 272:
		return []step{g.hush()}
	case n < 285:
		return []step{{conn: observer, calls: []call{{args: g.expand("absent")}}}}
	case n < 290:
		// Refused on one side, and given up on both.
		refused := g.calls(alone[:4])
		return []step{{conn: observer, calls: append([]call{{args: []string{"MULTI"}}}, refused[len(refused)-1], call{args: []string{"DISCARD"}})}}
	case n < 350:
		var calls []call
		for range 1 + g.IntN(4) {
			calls = append(calls, g.calls(onKeys, alone)...)
		}
		return []step{{conn: observer, calls: calls}}
	case n < 430:
		return []step{{conn: g.actor(), calls: g.focused()}}
	case n < 550:
		return []step{{conn: g.actor(), calls: g.pipeline(2 + g.IntN(8))}}
	}
	return []step{{conn: g.actor(), calls: g.pipeline(1)}}
}

// actor is a connection that does something.
func (g *generator) actor() int {
	if g.chance(25) {
		return second
	}
	return first
}

// pipeline draws calls that are sent together. Nothing comes behind QUIT.
func (g *generator) pipeline(n int) (calls []call) {
	for len(calls) < n {
		calls = append(calls, g.calls(onKeys, onConnections)...)
		if calls[len(calls)-1].name() == "QUIT" {
			break
		}
	}
	return calls
}

// focused draws calls that are all about one key, half of the time about when
// it ends.
func (g *generator) focused() []call {
	g.focus = one(*g, universe)
	defer func() { g.focus = "" }()
	list, calls := onKeys, []call{{args: g.expand("SET key value")}}
	if g.chance(50) {
		list = slices.DeleteFunc(slices.Clone(onKeys), func(c weighted) bool { return !strings.Contains(c.template, "EX") })
	}
	for range 3 + g.IntN(8) {
		calls = append(calls, g.calls(list)...)
	}
	return append(calls, call{args: g.expand("PEXPIRETIME key")})
}

// transaction draws WATCH, what another connection does, and MULTI to EXEC.
func (g *generator) transaction() (steps []step) {
	add := func(conn int, calls ...call) { steps = append(steps, step{conn: conn, calls: calls}) }
	if g.chance(70) {
		add(first, call{args: g.expand("WATCH key+")})
		if g.chance(40) {
			add(first, g.pipeline(1)...)
		}
		if g.chance(60) {
			add(second, g.pipeline(1)...)
		}
	}
	body := []call{{args: g.expand("MULTI")}}
	for range g.IntN(6) {
		body = append(body, g.pipeline(1)...)
	}
	if g.chance(90) {
		body = append(body, call{args: []string{one(*g, []string{"EXEC", "EXEC", "exec", "EXEC", "EXEC", "DISCARD"})}})
	}
	if g.chance(40) && !slices.ContainsFunc(body, func(c call) bool { return c.name() == "QUIT" }) {
		add(first, body...)
		return steps
	}
	for _, c := range body {
		add(first, c)
		if g.chance(15) {
			add(second, g.pipeline(1)...)
		}
	}
	return steps
}

// soon is when keys end that are waited for. Calls that take longer than slack
// to be answered void the trial: a key might have ended between them.
const (
	soon      = 400 * time.Millisecond
	slack     = 250 * time.Millisecond
	soonPause = 600 * time.Millisecond
)

// wait draws calls that give keys a short time, and waits until it is over.
// Redis counts keys that have ended until it meets them, so all are met.
func (g *generator) wait() []step {
	short := strconv.FormatInt(soon.Milliseconds(), 10)
	var calls []call
	for range 1 + g.IntN(4) {
		calls = append(calls, call{args: g.expand(one(*g, []string{
			"SET key value PX " + short, "PSETEX key " + short + " value", "PEXPIRE key " + short, "GETEX key PX " + short,
		}))})
		if g.chance(50) {
			calls = append(calls, call{args: g.expand(one(*g, []string{
				"RENAME key key", "COPY key key REPLACE", "PERSIST key", "SET key value KEEPTTL", "SET key value", "INCR key", "APPEND key value",
				"SETRANGE key 1 value", "GETSET key value", "MSET pair+", "INCRBYFLOAT key 0.5", "EXPIRE key 5000 NX", "EXPIRE key 5000 GT",
			}))})
		}
	}
	watched := step{conn: first, calls: []call{{args: g.expand("WATCH key")}}}
	// The observer, for it is not in a transaction that runs later.
	waiting := step{conn: observer, calls: calls, pause: soonPause}
	if g.chance(50) {
		return []step{waiting, g.look()}
	}
	run := step{conn: first, calls: []call{{args: []string{"MULTI"}}, {args: g.expand("SET key value")}, {args: []string{"EXEC"}}}}
	return []step{watched, waiting, run, g.look()}
}

// hush draws calls whose answers are not wanted.
func (g *generator) hush() step {
	s := step{conn: observer, answers: 1}
	quiet := []call{{args: g.expand("SET key value")}, {args: g.expand("GET key")}, {args: g.expand("nothing")}}
	if g.chance(50) {
		s.calls = append(s.calls, call{args: []string{"CLIENT", "REPLY", "OFF"}})
		s.calls = append(append(s.calls, quiet[:1+g.IntN(3)]...), call{args: []string{"client", "reply", "on"}})
		return s
	}
	s.calls = []call{{args: []string{"CLIENT", "REPLY", "SKIP"}}, quiet[g.IntN(3)], {args: g.expand("PING word?")}}
	return s
}

// look is a step that looks at all keys.
func (g *generator) look() step {
	s := step{conn: observer, calls: append([]call{{args: []string{"KEYS", "*"}}}, counted("DBSIZE")...)}
	for _, key := range keys() {
		for _, name := range []string{"GET", "PEXPIRETIME", "TTL", "TYPE"} {
			s.calls = append(s.calls, call{args: []string{name, key}})
		}
		s.calls = append(s.calls, call{args: []string{"OBJECT", "ENCODING", key}})
	}
	return s
}

// keys is the universe, each key once.
func keys() []string {
	all := slices.Sorted(slices.Values(universe))
	return slices.Compact(all)
}

// counted is a call that counts keys, behind one that meets them all: Redis
// counts a key that has ended until a command meets it.
func counted(args ...string) []call {
	return []call{{args: append([]string{"EXISTS"}, keys()...)}, {args: args}}
}

// calls draws a command of the lists, which may be more than one call.
func (g *generator) calls(lists ...[]weighted) []call {
	all, total := slices.Concat(lists...), 0
	for _, c := range all {
		total += c.weight
	}
	n := g.IntN(total)
	for _, c := range all {
		if n -= c.weight; n < 0 {
			return g.draw(c.template)
		}
	}
	panic("the weights have no end")
}

// draw makes the call of a template, now and then a wrong one.
func (g *generator) draw(template string) []call {
	args := g.expand(template)
	switch name, _, _ := strings.Cut(template, " "); name {
	case "DBSIZE":
		return counted(args...)
	case "INFO":
		if strings.Contains(template, "section") {
			return counted(args...)
		}
	case "QUIT", "RESET", "CLIENT", "WAIT", "HELLO", "CONFIG", "AUTH", "COMMAND":
		// As they are: a wrong one could end what the others stand on.
	default:
		if g.chance(6) {
			args = g.spoil(args)
		}
	}
	if g.chance(15) {
		args[0] = g.changeCase(args[0])
	}
	for i := 1; i < len(args); i++ {
		if g.chance(5) && slices.Contains([]string{"NX", "XX", "GT", "LT", "EX", "PX", "GET", "MATCH", "COUNT", "REPLACE", "KEEPTTL"}, args[i]) {
			args[i] = g.changeCase(args[i])
		}
	}
	inline := g.chance(10) && !slices.ContainsFunc(args, func(arg string) bool { return !typed(arg) })
	return []call{{args: args, inline: inline}}
}

// typed says that a word can stand in a line without quotes.
func typed(arg string) bool {
	return arg != "" && len(arg) < 1000 && !strings.ContainsFunc(arg, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\'' })
}

// spoil makes a call that is likely to be refused. Its first argument may be a
// key, and is one that both have.
func (g *generator) spoil(args []string) []string {
	at := 1 + g.IntN(len(args))
	switch {
	case g.chance(15):
		return append([]string{args[0] + one(*g, []string{"x", " ", "\n"})}, args[1:]...)
	case g.chance(50) && at < len(args) && (at > 1 || len(args) > 2 && args[2] != "" && len(args[2]) <= kv.KeyBytesMax):
		return slices.Delete(slices.Clone(args), at, at+1)
	}
	return slices.Insert(slices.Clone(args), at, one(*g, pools["surplus"]))
}

// changeCase draws the case of each letter.
func (g *generator) changeCase(word string) string {
	if g.chance(50) {
		return strings.ToLower(word)
	}
	return strings.Map(func(r rune) rune {
		if g.chance(50) {
			return []rune(strings.ToLower(string(r)))[0]
		}
		return r
	}, word)
}

// expand draws what a template stands for.
func (g *generator) expand(template string) (args []string) {
	for _, word := range strings.Fields(template) {
		n := 1
		switch word[len(word)-1] {
		case '?':
			n = g.IntN(2)
		case '*':
			if n = 0; g.chance(60) {
				n = 1 + g.IntN(3)
			}
			if word == "*" {
				n = 1
			}
		case '+':
			n = 1 + g.IntN(3)
		}
		if len(word) > 1 {
			word = strings.TrimRight(word, "?*+")
		}
		for range n {
			args = append(args, g.word(word)...)
		}
	}
	return args
}

// word draws what a word of a template stands for.
func (g *generator) word(word string) []string {
	if choices := strings.Split(word, "|"); len(choices) > 1 {
		return g.word(one(*g, choices))
	}
	if templates, ok := grammar[word]; ok {
		return g.expand(one(*g, templates))
	}
	if word == "key" && g.focus != "" {
		return []string{g.focus}
	}
	if pool, ok := pools[word]; ok {
		return []string{one(*g, pool)}
	}
	switch word {
	case "seconds":
		return []string{g.time("badSeconds", "")}
	case "millis":
		return []string{g.time("badMillis", "000")}
	case "pattern":
		var pattern string
		for range 1 + g.IntN(4) {
			pattern += one(*g, pools["glob"])
		}
		return []string{pattern}
	}
	return []string{word}
}

// time draws a time from now on. It is more than a minute away from any other
// of the sequence, so that both servers find the same one to be later.
func (g *generator) time(bad, zeros string) string {
	if g.chance(20) {
		return one(*g, pools[bad])
	}
	g.times++
	// Now and then forwards, now and then backwards.
	n := 5_000_000 + 100*g.times
	if g.chance(50) {
		n = 5_000_000 - 100*g.times
	}
	return strconv.Itoa(n) + zeros
}
