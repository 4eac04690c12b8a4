package respapi

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/resp"
)

// captured is what a redis-server 7.0.15 tells of the commands of this package.
// It is checked and made again by
//
//	go test ./respapi -run TestDocsAreThoseOfRedis [-rewrite]
//
//go:embed docs.resp3
var captured []byte

// command is what a name stands for. Exactly one of operation, table, own and
// subcommands says how it is answered, but for a container, which may have own
// beside subcommands and is then answered by itself when it stands alone.
type command struct {
	name  string // in lower case, a subcommand with its container: client|id
	docs  Docs
	arity int // arguments with the name; the least number as a negative one

	operation   *quorate.Operation
	table       *Command
	own         func(c *conn, args [][]byte) // args with all names
	subcommands map[string]*command          // by the second name, in upper case

	// noAuth is for those who have not said who they are; atOnce is not queued
	// between MULTI and EXEC; alone cannot be; joins is run together with what
	// was gathered before it.
	// untold is not told of by COMMAND.
	noAuth, atOnce, alone, joins, untold bool
}

// takes says that the command may have so many arguments, its name counted.
func (cmd *command) takes(arguments int) bool {
	if cmd.arity > 0 {
		return arguments == cmd.arity
	}
	return arguments >= -cmd.arity
}

// single says that the command is one call.
func (cmd *command) single() bool {
	return cmd.operation != nil || cmd.table != nil && cmd.table.Run == nil && cmd.table.Call != nil
}

// queueable says that the command may stand between MULTI and EXEC.
func (cmd *command) queueable() bool {
	return !cmd.alone && (cmd.table == nil || cmd.table.Call != nil)
}

// gather makes all commands of a server.
func gather(config Config) map[string]*command {
	all := make(map[string]*command)
	operations := config.Service.Operations()
	for i := range operations {
		op := &operations[i]
		all[op.Name()] = &command{name: strings.ToLower(op.Name()), operation: op, docs: docsOf(config.Service, op), arity: -1}
	}
	for i := range config.Table.Commands {
		entry := &config.Table.Commands[i]
		cmd := &command{name: strings.ToLower(entry.Name), table: entry, docs: entry.Docs, arity: arityOf(entry.Docs)}
		if entry.Run != nil {
			cmd.own = func(c *conn, args [][]byte) { c.runAlone(entry, args) }
		}
		cmd.contain()
		all[entry.Name] = cmd
	}
	maps.Copy(all, ownCommands(config))
	return all
}

// contain makes the subcommands that docs tell of. The command answers them all,
// but that there is one, and how many arguments it takes, is known before it is
// queued.
func (cmd *command) contain() {
	for name, docs := range cmd.docs.subcommands() {
		if cmd.subcommands == nil {
			cmd.subcommands = make(map[string]*command)
		}
		sub := *cmd
		sub.name, sub.docs, sub.arity, sub.subcommands = cmd.name+"|"+strings.ToLower(name), docs, arityOf(docs), nil
		cmd.subcommands[name] = &sub
	}
}

// arityOf is the arity that docs tell, or any number if they tell none.
func arityOf(docs Docs) int {
	if arity := int(docs.arity()); arity != 0 {
		return arity
	}
	return -1
}

// ownCommands are those of this package, with what Redis tells of them.
func ownCommands(config Config) map[string]*command {
	docs, err := ReadDocs(captured)
	if err != nil {
		panic(fmt.Errorf("read docs.resp3: %w", err))
	}
	all := make(map[string]*command)
	for _, group := range []map[string]*command{
		connectionCommands(), clientCommands(), transactionCommands(config), serverCommands(), quorateCommands(),
	} {
		maps.Copy(all, group)
	}
	for name, cmd := range all {
		cmd.name = strings.ToLower(name)
		if d, ok := docs[name]; ok && !cmd.untold {
			cmd.docs = d
		}
		cmd.complete()
	}
	return all
}

// complete fills in what docs tell of a command and its subcommands, and drops
// from them what is not there.
func (cmd *command) complete() {
	if cmd.arity == 0 {
		cmd.arity = arityOf(cmd.docs)
	}
	if cmd.subcommands == nil {
		return
	}
	docs := cmd.docs.subcommands()
	var told []Docs
	for _, name := range slices.Sorted(maps.Keys(cmd.subcommands)) {
		sub := cmd.subcommands[name]
		sub.name = cmd.name + "|" + strings.ToLower(name)
		if d, ok := docs[name]; ok && !sub.untold {
			sub.docs = d
		}
		if sub.told() {
			told = append(told, sub.docs)
		}
		if sub.arity == 0 {
			sub.arity = arityOf(sub.docs)
		}
	}
	cmd.docs = cmd.docs.with(told)
}

// nameBytesMax is the longest name that is looked for.
const nameBytesMax = 64

// upper writes a name in upper case into room, and is nil if it is too long.
func upper(room *[nameBytesMax]byte, name []byte) []byte {
	if len(name) > len(room) {
		return nil
	}
	for i, b := range name {
		if 'a' <= b && b <= 'z' {
			b -= 'a' - 'A'
		}
		room[i] = b
	}
	return room[:len(name)]
}

// find is the command that the first arguments name, or why there is none. What
// the server does not have it tells only those who are known.
func (s *Server) find(args [][]byte, known bool) (*command, error) {
	var room [nameBytesMax]byte
	cmd, ok := s.commands[string(upper(&room, args[0]))]
	if !ok {
		return nil, unknown(args, known)
	}
	if cmd.subcommands == nil || len(args) < 2 {
		return cmd, nil
	}
	sub, ok := cmd.subcommands[string(upper(&room, args[1]))]
	if !ok {
		return nil, unknownSubcommand(cmd, args)
	}
	return sub, nil
}

// unknownBytesMax is how much of each thing that is not known is shown.
const unknownBytesMax = 128

// unknown is the error for a command that there is not, as Redis words it, or
// what the server says of a command of Redis that it does not have.
func unknown(args [][]byte, known bool) error {
	if text, ok := absent(string(bytes.ToUpper(args[0][:min(len(args[0]), nameBytesMax)]))); ok && known {
		return refusal("%s", text)
	} else if ok {
		return noAuth()
	}
	var shown strings.Builder
	for _, arg := range args[1:] {
		if shown.Len() >= unknownBytesMax {
			break
		}
		fmt.Fprintf(&shown, "'%s' ", cut128(arg, unknownBytesMax-shown.Len()))
	}
	return refusal("unknown command '%s', with args beginning with: %s", cut128(args[0], unknownBytesMax), shown.String())
}

func unknownSubcommand(cmd *command, args [][]byte) error {
	return refusal("unknown subcommand '%s'. Try %s HELP.", cut128(args[1], unknownBytesMax), strings.ToUpper(cmd.name))
}

// cut128 is as much of text as C prints of it: up to a byte 0, and at most n
// bytes.
func cut128(text []byte, n int) []byte {
	text, _, _ = bytes.Cut(text, []byte{0})
	return text[:min(n, len(text))]
}

// takesMany says that a command may have as many arguments as a list of keys.
// What stands before a command may, because the command may.
func (s *Server) takesMany(name []byte) bool {
	var room [nameBytesMax]byte
	cmd, ok := s.commands[string(upper(&room, name))]
	return ok && (cmd.operation != nil || cmd.docs.place(infoLastKey).Int() < 0 || cmd.name == "once" || cmd.name == "stale")
}

// isFrame says that a name is the first of QUORATE EXECUTE.
func isFrame(name []byte) bool { return bytes.EqualFold(name, []byte("QUORATE")) }

// docsOf is what COMMAND tells of an operation of the service.
func docsOf(service *quorate.Service, op *quorate.Operation) Docs {
	access := "readonly"
	if op.Writes() {
		access = "write"
	}
	return made(strings.ToLower(op.Name()), -1, access, "generic",
		fmt.Sprintf("an operation of service %s; arguments: %s", service.Name(), quorate.Engine().Usage(op)))
}

// made is what COMMAND tells of a command that Redis does not have.
func made(name string, arity int64, flag, group, summary string) Docs {
	none := resp.SetValue()
	return Docs{
		Info: resp.ArrayValue(resp.BulkValue(name), resp.IntValue(arity), resp.SetValue(resp.SimpleValue(flag)),
			resp.IntValue(0), resp.IntValue(0), resp.IntValue(0), none, resp.ArrayValue(), resp.ArrayValue(), resp.ArrayValue()),
		Text: resp.MapValue(
			resp.BulkValue("summary"), resp.BulkValue(summary),
			resp.BulkValue("since"), resp.BulkValue("0.1.0"),
			resp.BulkValue("group"), resp.BulkValue(group)),
	}
}

// names is the names of all commands that are told of, in order.
func (s *Server) names() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.commands)) {
		if s.commands[name].told() {
			names = append(names, name)
		}
	}
	return names
}

// told says that COMMAND tells of the command.
func (cmd *command) told() bool { return len(cmd.docs.Info.List()) > 0 }
