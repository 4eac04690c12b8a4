package differ

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The connections of a sequence: two that do anything, and one that is never in
// a transaction and looks at all keys.
const (
	first = iota
	second
	observer
	connections
)

// prober is the number of one more connection, on which only the redis-server
// is asked what it holds.
const prober = connections

// call is one command as it is sent: its name and its arguments.
type call struct {
	args []string
	// inline sends it as a line that a person typed.
	inline bool
}

// name is the name of the command in upper case.
func (c call) name() string { return strings.ToUpper(c.args[0]) }

// String shows the call so that it can be typed.
func (c call) String() string {
	var words []string
	for _, arg := range c.args {
		switch {
		case len(arg) > 100:
			words = append(words, fmt.Sprintf("%.20q…(%d bytes)", arg, len(arg)))
		case arg == "" || strings.ContainsFunc(arg, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }):
			words = append(words, strconv.Quote(arg))
		default:
			words = append(words, arg)
		}
	}
	if c.inline {
		words = append(words, "   (inline)")
	}
	return strings.Join(words, " ")
}

// step is calls that one connection sends in one piece.
type step struct {
	conn  int
	calls []call
	// walk is a step of one call of SCAN, which is sent again with each cursor
	// until all keys were seen.
	walk bool
	// answers is how many answers there are if not one for each call: some
	// calls ask for none.
	answers int
	// pause is how long to wait behind the answers, until keys of the calls
	// have ended.
	pause time.Duration
}

// sequence is what is sent in one trial.
type sequence struct {
	seed uint64
	// versions is the protocol of each connection.
	versions [connections]string
	steps    []step
}

// calls is how many commands are sent.
func (s sequence) calls() (n int) {
	for _, step := range s.steps {
		n += len(step.calls)
	}
	return n
}

// String shows the steps, one line for each call; what belongs to one step is
// marked by a plus.
func (s sequence) String() string {
	var out strings.Builder
	for _, step := range s.steps {
		mark := ' '
		for _, c := range step.calls {
			fmt.Fprintf(&out, "  %c connection %d (RESP%s): %v\n", mark, step.conn, s.versions[step.conn], c)
			mark = '+'
		}
		if step.pause > 0 {
			fmt.Fprintf(&out, "    wait %v\n", step.pause)
		}
	}
	return out.String()
}
