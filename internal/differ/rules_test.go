package differ

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/resp"
)

// rule lets two answers pass that are not the same bytes.
type rule struct {
	// name is short, and for an intended difference it is the title under which
	// docs/REDIS.md tells of it.
	name string
	// why says why the answers need not be the same.
	why string
	// intended says that users are told.
	intended bool
	// rare says that a long run may do without it.
	rare bool
	// commands is the calls it is for: names, or names and first arguments; *
	// is all.
	commands []string
	// same says that the answers, of Redis and ours, pass.
	same func(c call, redis, ours resp.Value) bool
}

// rules is all rules, and how often each was needed.
type rules struct {
	list []rule
	used map[string]int
}

func newRules(lists ...[]rule) *rules {
	return &rules{list: slices.Concat(lists...), used: make(map[string]int)}
}

// pass says whether a rule lets two answers pass. If not, it names the rules
// that know the call.
func (r *rules) pass(c call, redis, ours resp.Value) (passed bool, why string) {
	var known []string
	for _, rule := range r.list {
		if !rule.knows(c) {
			continue
		}
		if rule.same(c, redis, ours) {
			r.used[rule.name]++
			return true, ""
		}
		if rule.commands[0] != "*" {
			known = append(known, rule.name)
		}
	}
	if known != nil {
		why = fmt.Sprintf("the rules %q know the call, and do not let this pass", known)
	}
	return false, why
}

// unused is the intended differences that no answer has shown.
func (r *rules) unused() (names []string) {
	for _, rule := range r.list {
		if rule.intended && !rule.rare && r.used[rule.name] == 0 {
			names = append(names, rule.name)
		}
	}
	return names
}

// knows says that the rule is for the call.
func (r rule) knows(c call) bool {
	name := c.name()
	if len(c.args) > 1 {
		name += " " + strings.ToUpper(c.args[1])
	}
	return slices.ContainsFunc(r.commands, func(command string) bool {
		return command == "*" || name == command || strings.HasPrefix(name, command+" ")
	})
}

// likenesses is the answers that are as good as the same: what has no order, and
// what is of the moment or of the server.
var likenesses = []rule{
	{
		name: "names in any order", why: "the order of keys and of commands is not said",
		commands: []string{"KEYS", "COMMAND LIST"},
		same:     sameSet,
	},
	{
		name: "one page of a scan in any order", why: "the order of keys is not said",
		commands: []string{"SCAN"},
		same: func(_ call, redis, ours resp.Value) bool {
			a, b := redis.List(), ours.List()
			return len(a) == 2 && len(b) == 2 && a[0].Equal(b[0]) && a[0].Text() == "0" && sameSet(call{}, a[1], b[1])
		},
	},
	{
		name: "a page from nowhere", why: "what a cursor shows that no scan has given is the server's own",
		commands: []string{"SCAN"},
		same: func(c call, redis, ours resp.Value) bool {
			return len(c.args) > 1 && c.args[1] != "0" && len(redis.List()) == 2 && len(ours.List()) == 2
		},
	},
	{
		name: "some key", why: "any key may be answered",
		commands: []string{"RANDOMKEY"},
		same: func(_ call, redis, ours resp.Value) bool {
			return redis.Kind() == resp.Bulk && ours.Kind() == resp.Bulk
		},
	},
	{
		name: "time that is left", why: "the servers answer one after the other",
		commands: []string{"TTL", "PTTL"},
		same: func(c call, redis, ours resp.Value) bool {
			return redis.Int() >= 0 && near(redis, ours, skew(c.name() == "PTTL"))
		},
	},
	{
		name: "time of expiry", why: "a time from now on begins when the command runs; one that was said is exact",
		commands: []string{"EXPIRETIME", "PEXPIRETIME"},
		same: func(c call, redis, ours resp.Value) bool {
			millis := c.name() == "PEXPIRETIME"
			return redis.Int() >= 0 && !said(redis.Int(), millis) && near(redis, ours, skew(millis))
		},
	},
	{
		name: "the time of day", why: "the servers answer one after the other",
		commands: []string{"TIME"},
		same: func(_ call, redis, ours resp.Value) bool {
			return sameShape(redis, ours) && len(redis.List()) == 2
		},
	},
	{
		name: "the number of a connection", why: "each server counts its own",
		commands: []string{"CLIENT ID"},
		same: func(_ call, redis, ours resp.Value) bool {
			return redis.Int() > 0 && ours.Int() > 0
		},
	},
	{
		name: "what is known of a connection", why: "addresses and buffers are the server's own; names and databases are compared",
		commands: []string{"CLIENT INFO", "CLIENT LIST"},
		same: func(_ call, redis, ours resp.Value) bool {
			return redis.Kind() == ours.Kind() && slices.Equal(clients(redis.Text()), clients(ours.Text()))
		},
	},
	{
		name: "what a server tells of itself", why: "sections and counts of keys are compared, all else is the server's own",
		commands: []string{"INFO"},
		same: func(_ call, redis, ours resp.Value) bool {
			return redis.Kind() == ours.Kind() && redis.Format() == ours.Format() && slices.Equal(told(redis.Text()), told(ours.Text()))
		},
	},
	{
		name: "who is greeted", why: "the number of the connection is the server's own",
		commands: []string{"HELLO"},
		same: func(_ call, redis, ours resp.Value) bool {
			return greeting(redis, "id").Equal(greeting(ours, "id"))
		},
	},
	{
		name: "settings in any order", why: "the order of settings is not said",
		commands: []string{"CONFIG GET"},
		same: func(_ call, redis, ours resp.Value) bool {
			return redis.Kind() == ours.Kind() && maps.Equal(settings(redis), settings(ours))
		},
	},
}

// sameSet says that two arrays hold the same, in any order.
func sameSet(_ call, a, b resp.Value) bool {
	return a.Kind() == b.Kind() && slices.Equal(sorted(a), sorted(b))
}

// sorted is the texts of the elements in order.
func sorted(v resp.Value) (texts []string) {
	for _, element := range v.List() {
		texts = append(texts, element.Text())
	}
	slices.Sort(texts)
	return texts
}

// skew is how far apart the clocks of two servers may seem, in milliseconds or
// in seconds. It is what one may be behind the other on a busy machine.
func skew(millis bool) int64 {
	if millis {
		return 5000
	}
	return 5
}

// near says that two integers differ by so much at most.
func near(a, b resp.Value, by int64) bool {
	d := a.Int() - b.Int()
	return a.Kind() == resp.Int && b.Kind() == resp.Int && -by <= d && d <= by && b.Int() >= 0
}

// said says that a time of expiry is one that a command has said, and not one
// from now on: one of those in pools, in seconds rounded.
func said(n int64, millis bool) bool {
	if millis {
		n /= 1000
	}
	return slices.Contains([]int64{4102444800, 4102444801, 4133980800}, n)
}

// sameShape says that two values are made of the same kinds.
func sameShape(a, b resp.Value) bool {
	return a.Kind() == b.Kind() && slices.EqualFunc(a.List(), b.List(), sameShape)
}

// clients is the names and databases of the connections in a list of them, in
// any order.
func clients(text string) (lines []string) {
	for line := range strings.Lines(text) {
		kept := ""
		for _, word := range strings.Fields(line) {
			if strings.HasPrefix(word, "name=") || strings.HasPrefix(word, "db=") {
				kept += word + " "
			}
		}
		lines = append(lines, kept)
	}
	slices.Sort(lines)
	return lines
}

// told is the sections of an INFO that both servers have, and the counts of
// keys.
func told(info string) (lines []string) {
	common := []string{"# Server", "# Clients", "# Memory", "# Stats", "# Replication", "# Keyspace"}
	for line := range strings.Lines(info) {
		line = strings.TrimSpace(line)
		counts, _, isKeyspace := strings.Cut(line, ",avg_ttl=")
		if slices.Contains(common, line) || isKeyspace && strings.HasPrefix(line, "db") {
			lines = append(lines, counts)
		}
	}
	slices.Sort(lines)
	return lines
}

// greeting is the answer to HELLO without what some fields hold. An error stays
// as it is.
func greeting(v resp.Value, own ...string) resp.Value {
	list := slices.Clone(v.List())
	for i := 0; i+1 < len(list); i += 2 {
		if slices.Contains(own, list[i].Text()) {
			list[i+1] = resp.IntValue(0)
		}
	}
	switch v.Kind() {
	case resp.Map:
		return resp.MapValue(list...)
	case resp.Array:
		return resp.ArrayValue(list...)
	}
	return v
}

// settings is what an answer to CONFIG GET holds.
func settings(v resp.Value) map[string]string {
	all := make(map[string]string)
	for pair := range slices.Chunk(v.List(), 2) {
		all[pair[0].Text()] = pair[1].Text()
	}
	return all
}
