package respapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate/internal/resp"
)

// serverCommands are those about the server.
func serverCommands() map[string]*command {
	all := map[string]*command{
		"TIME":    {own: tellTime},
		"INFO":    {own: info},
		"WAIT":    {own: wait},
		"CONFIG":  configCommands(),
		"COMMAND": commandCommands(),
		"DEBUG":   {own: debugCommand, arity: -2, untold: !debugBuild},
	}
	return all
}

func tellTime(c *conn, _ [][]byte) {
	now := time.Now()
	c.value(resp.ArrayValue(
		resp.BulkValue(strconv.FormatInt(now.Unix(), 10)),
		resp.BulkValue(strconv.Itoa(now.Nanosecond()/int(time.Microsecond))),
	))
}

// wait answers WAIT <replicas> <milliseconds>. There is nothing to wait for: a
// write that was answered is where it ever has to be.
func wait(c *conn, args [][]byte) {
	_, err := integer(args[1])
	timeout, timeoutErr := integer(args[2])
	switch {
	case err != nil:
		c.value(Failure(err))
	case timeoutErr != nil:
		c.value(Failure(refusal("timeout is not an integer or out of range")))
	case timeout < 0:
		c.value(Failure(refusal("timeout is negative")))
	default:
		c.value(resp.IntValue(int64(c.server.others())))
	}
}

// debugCommand answers DEBUG, of which only a build for tests has anything.
func debugCommand(c *conn, args [][]byte) {
	if !debugged(c, args) {
		c.value(Failure(refusal("unknown subcommand or wrong number of arguments for '%s'. Try DEBUG HELP.", cut128(args[1], unknownBytesMax))))
	}
}

// section is a part of what INFO tells. One that is extra comes only when it is
// asked for.
type section struct {
	name  string
	tell  func(s *Server, text *bytes.Buffer)
	extra bool
}

// sections are all there are, in the order of Redis.
func sections() []section {
	return []section{
		{name: "server", tell: (*Server).tellServer},
		{name: "clients", tell: (*Server).tellClients},
		{name: "memory", tell: (*Server).tellMemory},
		{name: "persistence", tell: (*Server).tellPersistence},
		{name: "stats", tell: (*Server).tellStats},
		{name: "replication", tell: (*Server).tellReplication},
		{name: "cpu", tell: (*Server).tellCPU, extra: true},
		{name: "cluster", tell: func(_ *Server, text *bytes.Buffer) { field(text, "cluster_enabled", 0) }},
		{name: "keyspace", tell: (*Server).tellKeyspace},
		{name: "quorate", tell: (*Server).tellQuorate},
	}
}

// info answers INFO [section…].
func info(c *conn, args [][]byte) {
	asked := func(section) bool { return false }
	if len(args) == 1 {
		asked = func(s section) bool { return !s.extra }
	}
	for _, arg := range args[1:] {
		before, name := asked, strings.ToLower(string(arg))
		asked = func(s section) bool {
			return before(s) || name == s.name || name == "all" || name == "everything" || name == "default" && !s.extra
		}
	}
	var text bytes.Buffer
	for _, s := range sections() {
		if !asked(s) {
			continue
		}
		if text.Len() > 0 {
			text.WriteString("\r\n")
		}
		fmt.Fprintf(&text, "# %s\r\n", strings.ToUpper(s.name[:1])+s.name[1:])
		s.tell(c.server, &text)
	}
	c.value(resp.VerbatimValue("txt", text.String()))
}

func field(text *bytes.Buffer, name string, value any) { fmt.Fprintf(text, "%s:%v\r\n", name, value) }

func (s *Server) tellServer(text *bytes.Buffer) {
	up := time.Since(s.started)
	field(text, "redis_version", redisVersion)
	field(text, "redis_mode", "standalone")
	field(text, "quorate_version", s.config.Version)
	field(text, "service", s.config.Service.Name())
	field(text, "os", runtime.GOOS+" "+runtime.GOARCH)
	field(text, "arch_bits", strconv.IntSize)
	field(text, "go_version", runtime.Version())
	field(text, "process_id", os.Getpid())
	field(text, "run_id", s.run)
	field(text, "tcp_port", s.port())
	field(text, "server_time_usec", time.Now().UnixMicro())
	field(text, "uptime_in_seconds", int64(up/time.Second))
	field(text, "uptime_in_days", int64(up/(24*time.Hour)))
}

func (s *Server) tellClients(text *bytes.Buffer) {
	field(text, "connected_clients", len(s.clients()))
	field(text, "maxclients", s.config.MaxClients)
	field(text, "blocked_clients", 0)
	field(text, "tracking_clients", 0)
}

// What the runtime of Go tells of memory.
const (
	heapMetric     = "/memory/classes/heap/objects:bytes"
	totalMetric    = "/memory/classes/total:bytes"
	releasedMetric = "/memory/classes/heap/released:bytes"
)

func (s *Server) tellMemory(text *bytes.Buffer) {
	samples := []metrics.Sample{{Name: heapMetric}, {Name: totalMetric}, {Name: releasedMetric}}
	metrics.Read(samples)
	used, rss := samples[0].Value.Uint64(), samples[1].Value.Uint64()-samples[2].Value.Uint64()
	field(text, "used_memory", used)
	field(text, "used_memory_human", megabytes(used))
	field(text, "used_memory_rss", rss)
	field(text, "used_memory_rss_human", megabytes(rss))
	field(text, "maxmemory", 0)
	field(text, "maxmemory_human", "0B")
	field(text, "maxmemory_policy", "noeviction")
	field(text, "mem_allocator", "go")
}

func megabytes(n uint64) string { return fmt.Sprintf("%.2fM", float64(n)/(1<<20)) }

// tellPersistence tells that each write is on disk before it is answered.
func (s *Server) tellPersistence(text *bytes.Buffer) {
	field(text, "loading", 0)
	field(text, "rdb_bgsave_in_progress", 0)
	field(text, "aof_enabled", 1)
	field(text, "aof_last_write_status", "ok")
}

func (s *Server) tellStats(text *bytes.Buffer) {
	field(text, "total_connections_received", s.counted.connections.Load())
	field(text, "total_commands_processed", s.counted.commands.Load())
	field(text, "rejected_connections", s.counted.rejected.Load())
	field(text, "total_error_replies", s.counted.errors.Load())
}

// tellReplication tells what is true for a client: it may write here, and there
// is nobody it would have to ask instead.
func (s *Server) tellReplication(text *bytes.Buffer) {
	field(text, "role", "master")
	field(text, "connected_slaves", 0)
}

func (s *Server) tellCPU(text *bytes.Buffer) {
	field(text, "cpus", runtime.GOMAXPROCS(0))
	field(text, "goroutines", runtime.NumGoroutine())
}

func (s *Server) tellKeyspace(text *bytes.Buffer) {
	if s.config.Table.Keys == nil {
		return
	}
	ctx, cancel := context.WithTimeout(s.base, s.config.Timeout)
	defer cancel()
	keys, expiring, err := s.config.Table.Keys(ctx, s.config.Executor)
	switch {
	case err != nil:
		field(text, "error", oneLine(err.Error()))
	case keys > 0:
		field(text, "db0", fmt.Sprintf("keys=%d,expires=%d,avg_ttl=0", keys, expiring))
	}
}

// tellQuorate tells the status of the node, a line for each thing that is one.
func (s *Server) tellQuorate(text *bytes.Buffer) {
	raw, err := s.status()
	if err != nil {
		return
	}
	var status map[string]json.RawMessage
	if err := json.Unmarshal(raw, &status); err != nil {
		return // it is no object, and QUORATE STATUS shows what it is
	}
	names := make([]string, 0, len(status))
	for name := range status {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		var word string
		switch value := status[name]; {
		case json.Unmarshal(value, &word) == nil:
			field(text, name, oneLine(word))
		case value[0] == '[':
			var list []json.RawMessage
			_ = json.Unmarshal(value, &list) // it was made by Marshal
			field(text, name, len(list))
		case value[0] != '{':
			field(text, name, string(value))
		}
	}
}

// oneLine keeps what comes from elsewhere from looking like fields of its own.
func oneLine(text string) string { return strings.NewReplacer("\r", " ", "\n", " ").Replace(text) }
