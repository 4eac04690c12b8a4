package respapi

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/resp"
)

// clientCommands is CLIENT.
func clientCommands() map[string]*command {
	return map[string]*command{"CLIENT": {subcommands: map[string]*command{
		"ID":      {own: func(c *conn, _ [][]byte) { c.value(resp.IntValue(int64(c.id))) }},
		"INFO":    {own: func(c *conn, _ [][]byte) { c.value(resp.VerbatimValue("txt", c.label.line()+"\n")) }},
		"LIST":    {own: clientList},
		"GETNAME": {own: func(c *conn, _ [][]byte) { c.value(nameOf(c.label.called())) }},
		"SETNAME": {own: setName},
		"SETINFO": {own: setInfo, arity: 4},
		"REPLY":   {own: clientReply},
		"KILL":    {own: clientKill},
		"NO-EVICT": {own: func(c *conn, args [][]byte) {
			if !is(args[2], "ON") && !is(args[2], "OFF") {
				c.value(Failure(syntaxError()))
				return
			}
			c.ok() // nobody is ever evicted
		}},
		"GETREDIR":     {own: func(c *conn, _ [][]byte) { c.value(resp.IntValue(-1)) }},
		"TRACKINGINFO": {own: trackingInfo},
		// What follows is there to be refused.
		"TRACKING": {own: tracking, arity: -3, untold: true},
		"CACHING": {own: func(c *conn, _ [][]byte) {
			c.value(Failure(refusal("CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled")))
		}, arity: 3, untold: true},
		"HELP": {own: help},
	}}}
}

func setName(c *conn, args [][]byte) {
	if err := checkName(args[2]); err != nil {
		c.value(Failure(err))
		return
	}
	c.label.rename(string(args[2]))
	c.ok()
}

// tracking answers CLIENT TRACKING. A client that asks for it must learn that
// nothing will tell it which of its keys have changed.
func tracking(c *conn, args [][]byte) {
	switch {
	case is(args[2], "ON"):
		c.value(Failure(refusal("this server has no client-side caching: it does not tell clients which keys have changed")))
	case is(args[2], "OFF"):
		c.ok()
	default:
		c.value(Failure(syntaxError()))
	}
}

func trackingInfo(c *conn, _ [][]byte) {
	c.value(resp.MapValue(
		resp.BulkValue("flags"), resp.SetValue(resp.BulkValue("off")),
		resp.BulkValue("redirect"), resp.IntValue(-1),
		resp.BulkValue("prefixes"), resp.ArrayValue(),
	))
}

func clientReply(c *conn, args [][]byte) {
	switch {
	case is(args[2], "ON"):
		c.mute.off, c.mute.skip = false, false
		c.ok()
	case is(args[2], "OFF"):
		c.mute.off = true
	case is(args[2], "SKIP"):
		c.mute.next = !c.mute.off
	default:
		c.value(Failure(syntaxError()))
	}
}

// kindOf reads a type of client: all are normal here. It is false for a type
// that Redis does not know.
func kindOf(text []byte) (normal, ok bool) {
	switch strings.ToLower(string(text)) {
	case "normal":
		return true, true
	case "master", "replica", "slave", "pubsub":
		return false, true
	}
	return false, false
}

func unknownKind(text []byte) error {
	return refusal("Unknown client type '%s'", cut128(text, unknownBytesMax))
}

// clientList answers CLIENT LIST [TYPE type] [ID id…].
func clientList(c *conn, args [][]byte) {
	chosen := func(*conn) bool { return true }
	switch {
	case len(args) == 2:
	case len(args) == 4 && is(args[2], "TYPE"):
		normal, ok := kindOf(args[3])
		if !ok {
			c.value(Failure(unknownKind(args[3])))
			return
		}
		chosen = func(*conn) bool { return normal }
	case len(args) > 3 && is(args[2], "ID"):
		ids := make(map[uint64]bool)
		for _, arg := range args[3:] {
			id, err := integer(arg)
			if err != nil {
				c.value(Failure(refusal("Invalid client ID")))
				return
			}
			ids[uint64(id)] = true
		}
		chosen = func(other *conn) bool { return ids[other.id] }
	default:
		c.value(Failure(syntaxError()))
		return
	}
	var lines strings.Builder
	for _, other := range c.server.ordered() {
		if chosen(other) {
			lines.WriteString(other.label.line() + "\n")
		}
	}
	c.value(resp.VerbatimValue("txt", lines.String()))
}

// ordered is all clients in the order in which they came.
func (s *Server) ordered() []*conn {
	list := s.clients()
	slices.SortFunc(list, func(a, b *conn) int { return cmp.Compare(a.id, b.id) })
	return list
}

// kill is which clients CLIENT KILL means. What is empty or zero means all.
type kill struct {
	id              uint64
	remote, local   string
	normal, skipped bool // skipped: the one who asks is not meant
}

// clientKill answers CLIENT KILL <address>, or <filter> <value> and so on.
func clientKill(c *conn, args [][]byte) {
	if len(args) == 3 {
		if c.server.kill(c, kill{remote: string(args[2]), normal: true}) == 0 {
			c.value(Failure(refusal("No such client")))
			return
		}
		c.ok()
		return
	}
	which, err := readKill(args[2:])
	if err != nil {
		c.value(Failure(err))
		return
	}
	c.value(resp.IntValue(int64(c.server.kill(c, which))))
}

// readKill reads the filters of CLIENT KILL.
func readKill(filters [][]byte) (kill, error) {
	which := kill{normal: true, skipped: true}
	if len(filters)%2 != 0 {
		return which, syntaxError()
	}
	for ; len(filters) > 0; filters = filters[2:] {
		value := filters[1]
		switch strings.ToUpper(string(filters[0])) {
		case "ID":
			id, err := strconv.ParseInt(string(value), 10, 64)
			if err != nil || id < 1 {
				return which, refusal("client-id should be greater than 0")
			}
			which.id = uint64(id)
		case "TYPE":
			normal, ok := kindOf(value)
			if !ok {
				return which, unknownKind(value)
			}
			which.normal = normal
		case "ADDR":
			which.remote = string(value)
		case "LADDR":
			which.local = string(value)
		case "USER":
			if string(value) != defaultUser {
				return which, refusal("No such user '%s'", cut128(value, unknownBytesMax))
			}
		case "SKIPME":
			which.skipped = is(value, "YES")
			if !which.skipped && !is(value, "NO") {
				return which, syntaxError()
			}
		default:
			return which, syntaxError()
		}
	}
	return which, nil
}

// kill closes the connections that are meant, and counts them. The one who asks
// gets the answer first.
func (s *Server) kill(asking *conn, which kill) (killed int) {
	for _, c := range s.clients() {
		switch {
		case !which.normal, which.id != 0 && which.id != c.id,
			which.remote != "" && which.remote != c.label.remote, which.local != "" && which.local != c.label.local:
			continue
		case c != asking:
			_ = c.net.Close() // it ends whoever reads or writes
		case which.skipped:
			continue
		default:
			c.leaving = true
		}
		killed++
	}
	return killed
}
