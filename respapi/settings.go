package respapi

import (
	"strconv"
	"strings"

	"github.com/quorate/quorate/internal/resp"
)

// configCommands is CONFIG.
func configCommands() *command {
	return &command{subcommands: map[string]*command{
		"GET":       {own: configGet},
		"RESETSTAT": {own: resetCounters},
		"HELP":      {own: help},
		// What follows is there to be refused.
		"SET": {own: configSet, arity: -4, untold: true},
		"REWRITE": {own: func(c *conn, _ [][]byte) {
			c.value(Failure(refusal("The server is running without a config file")))
		}, arity: 2, untold: true},
	}}
}

// setting is a parameter that clients ask for, and what is true of it here.
type setting struct{ name, value string }

// settings are all there are.
func (s *Server) settings() []setting {
	password := ""
	if s.config.Password != "" {
		password = "(set)" // what it is does not go over the wire
	}
	return []setting{
		{"appendfsync", "always"},
		{"appendonly", "yes"},
		{"bind", ""},
		{"client-output-buffer-limit", "normal 0 0 0 slave 0 0 0 pubsub 0 0 0"},
		{"cluster-enabled", "no"},
		{"databases", "1"},
		{"hz", "10"},
		{"io-threads", "1"},
		{"lazyfree-lazy-expire", "no"},
		{"maxclients", strconv.Itoa(s.config.MaxClients)},
		{"maxmemory", "0"},
		{"maxmemory-policy", "noeviction"},
		{"min-replicas-to-write", strconv.Itoa(s.others())},
		{"notify-keyspace-events", ""},
		{"port", s.port()},
		{"proto-max-bulk-len", strconv.Itoa(s.after.BulkBytes)},
		{"protected-mode", "no"},
		{"requirepass", password},
		{"save", ""},
		{"slowlog-log-slower-than", "-1"},
		{"slowlog-max-len", "0"},
		{"tcp-keepalive", "60"},
		{"timeout", strconv.Itoa(int(s.config.IdleTimeout.Seconds()))},
		{"tracking-table-max-keys", "0"},
	}
}

// others is how many other nodes surely have each write that was answered: a
// majority has it, this node or another among them.
func (s *Server) others() int { return max(0, s.config.Voters()/2) }

// port is where the server accepts connections.
func (s *Server) port() string {
	_, port, ok := cutLast(addressOf(s.Addr()), ":")
	if !ok {
		return "0"
	}
	return port
}

// cutLast is strings.Cut around the last separator.
func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+len(separator):], true
}

// configGet answers CONFIG GET <pattern…>.
func configGet(c *conn, args [][]byte) {
	var found []resp.Value
	for _, one := range c.server.settings() {
		for _, pattern := range args[2:] {
			if one.asked(strings.ToLower(string(pattern))) {
				found = append(found, resp.BulkValue(one.named(string(pattern))), resp.BulkValue(one.value))
				break
			}
		}
	}
	c.value(resp.MapValue(found...))
}

// asked says that a pattern asks for the setting. Without a wildcard it is the
// name, and a backslash is one.
func (s setting) asked(pattern string) bool {
	if !strings.ContainsAny(pattern, "*?[") {
		return pattern == s.name
	}
	return matches(pattern, s.name)
}

// named is the name under which a setting is answered: as it was asked for, if
// it was asked for by its name.
func (s setting) named(pattern string) string {
	if strings.EqualFold(pattern, s.name) {
		return pattern
	}
	return s.name
}

// configSet refuses CONFIG SET <name> <value> …, in the words that Redis has for
// what cannot be changed while it runs. Nothing can.
func configSet(c *conn, args [][]byte) {
	if len(args)%2 != 0 {
		c.value(Failure(syntaxError()))
		return
	}
	name := string(cut128(args[2], unknownBytesMax))
	for _, one := range c.server.settings() {
		if one.name == strings.ToLower(name) {
			c.value(Failure(refusal("CONFIG SET failed (possibly related to argument '%s') - can't set immutable config", name)))
			return
		}
	}
	c.value(Failure(refusal("Unknown option or number of arguments for CONFIG SET - '%s'", name)))
}

// resetCounters answers CONFIG RESETSTAT.
func resetCounters(c *conn, _ [][]byte) {
	n := &c.server.counted
	n.connections.Store(0)
	n.rejected.Store(0)
	n.commands.Store(0)
	n.errors.Store(0)
	c.ok()
}
