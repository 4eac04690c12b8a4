package respapi

import (
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate/internal/resp"
)

// commandCommands is COMMAND.
func commandCommands() *command {
	return &command{
		own: func(c *conn, _ [][]byte) {
			var infos []resp.Value
			for _, name := range c.server.names() {
				infos = append(infos, c.server.commands[name].docs.Info)
			}
			c.value(resp.ArrayValue(infos...))
		},
		subcommands: map[string]*command{
			"COUNT":   {own: func(c *conn, _ [][]byte) { c.value(resp.IntValue(int64(len(c.server.names())))) }},
			"LIST":    {own: commandList},
			"INFO":    {own: commandInfo},
			"DOCS":    {own: commandDocs},
			"GETKEYS": {own: commandGetKeys},
			"HELP":    {own: help},
		},
	}
}

// named finds a command that COMMAND was asked for: get, or client|id. One that
// is there only to be refused is not found.
func (s *Server) named(name []byte) (*command, bool) {
	first, second, within := strings.Cut(strings.ToUpper(string(name)), "|")
	cmd, ok := s.commands[first]
	if within && ok {
		cmd, ok = cmd.subcommands[second]
	}
	return cmd, ok && cmd.told()
}

// commandInfo answers COMMAND INFO [name…].
func commandInfo(c *conn, args [][]byte) {
	names := args[2:]
	if len(names) == 0 {
		for _, name := range c.server.names() {
			names = append(names, []byte(name))
		}
	}
	infos := make([]resp.Value, len(names))
	for i, name := range names {
		if cmd, ok := c.server.named(name); ok {
			infos[i] = cmd.docs.Info
		}
	}
	c.value(resp.ArrayValue(infos...))
}

// commandDocs answers COMMAND DOCS [name…].
func commandDocs(c *conn, args [][]byte) {
	names := args[2:]
	if len(names) == 0 {
		for _, name := range c.server.names() {
			names = append(names, []byte(name))
		}
	}
	var docs []resp.Value
	for _, name := range names {
		if cmd, ok := c.server.named(name); ok {
			docs = append(docs, resp.BulkValue(cmd.name), cmd.docs.Text)
		}
	}
	c.value(resp.MapValue(docs...))
}

// commandList answers COMMAND LIST [FILTERBY MODULE|ACLCAT|PATTERN what].
func commandList(c *conn, args [][]byte) {
	wanted := func(*command) bool { return true }
	filtered := len(args) == 5 && is(args[2], "FILTERBY")
	switch {
	case len(args) == 2:
	case filtered && is(args[3], "MODULE"):
		wanted = func(*command) bool { return false }
	case filtered && is(args[3], "ACLCAT"):
		wanted = func(cmd *command) bool { return cmd.inCategory("@" + strings.ToLower(string(args[4]))) }
	case filtered && is(args[3], "PATTERN"):
		pattern := strings.ToLower(string(args[4]))
		wanted = func(cmd *command) bool { return matches(pattern, cmd.name) }
	default:
		c.value(Failure(syntaxError()))
		return
	}
	var list []resp.Value
	c.server.each(filtered, func(cmd *command) {
		if wanted(cmd) {
			list = append(list, resp.BulkValue(cmd.name))
		}
	})
	c.value(resp.ArrayValue(list...))
}

// each goes over all commands in order, and their subcommands if so told, as
// Redis does when there is a filter.
func (s *Server) each(subcommands bool, yield func(*command)) {
	for _, name := range s.names() {
		cmd := s.commands[name]
		yield(cmd)
		if !subcommands {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(cmd.subcommands)) {
			if sub := cmd.subcommands[name]; sub.told() {
				yield(sub)
			}
		}
	}
}

func (cmd *command) inCategory(name string) bool {
	return slices.ContainsFunc(cmd.docs.place(infoCategories).List(), func(v resp.Value) bool { return v.Text() == name })
}

// commandGetKeys answers COMMAND GETKEYS <command …>.
func commandGetKeys(c *conn, args [][]byte) {
	call := args[2:]
	cmd, err := c.server.find(call, true)
	switch {
	case err != nil:
		c.value(Failure(refusal("Invalid command specified")))
		return
	case cmd.docs.place(infoFirstKey).Int() == 0:
		c.value(Failure(refusal("The command has no key arguments")))
		return
	case !cmd.takes(len(call)):
		c.value(Failure(refusal("Invalid number of arguments specified for command")))
		return
	}
	var keys []resp.Value
	for _, place := range keyPlaces(&cmd.docs, len(call)) {
		keys = append(keys, bulk(call[place]))
	}
	c.value(resp.ArrayValue(keys...))
}

// keyPlaces is where in a call of so many arguments the keys stand.
func keyPlaces(d *Docs, arguments int) (places []int) {
	first, last, step := int(d.place(infoFirstKey).Int()), int(d.place(infoLastKey).Int()), int(d.place(infoKeyStep).Int())
	if last < 0 {
		last += arguments
	}
	for i := first; step > 0 && i <= min(last, arguments-1); i += step {
		places = append(places, i)
	}
	return places
}

// help answers HELP of a container with what COMMAND tells of it.
func help(c *conn, args [][]byte) {
	cmd := c.server.commands[strings.ToUpper(string(args[0]))]
	lines := []resp.Value{resp.SimpleValue(strings.ToUpper(cmd.name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")}
	for _, name := range slices.Sorted(maps.Keys(cmd.subcommands)) {
		summary := cmd.subcommands[name].docs.field("summary").Text()
		if summary == "" {
			continue // it is there only to be refused
		}
		lines = append(lines, resp.SimpleValue(name), resp.SimpleValue("    "+strings.TrimSuffix(summary, ".")+"."))
	}
	c.value(resp.ArrayValue(lines...))
}
