package respapi

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate/internal/resp"
)

// label is what others are told of a connection.
type label struct {
	id            uint64
	remote, local string
	began         time.Time

	last atomic.Int64 // unix nanoseconds of the last call
	cmd  atomic.Pointer[command]

	mu                  sync.Mutex // guards what follows
	name                string
	library, libVersion string
	version             resp.Version
	queued              int // calls behind MULTI, -1 outside
	watched             int
}

// begin fills in what is known when a connection is made.
func (l *label) begin(id uint64, nc net.Conn) {
	l.id, l.remote, l.local = id, addressOf(nc.RemoteAddr()), addressOf(nc.LocalAddr())
	l.began, l.version, l.queued = time.Now(), resp.RESP2, -1
	l.last.Store(l.began.UnixNano())
}

func addressOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	return a.String()
}

// seen notes that the client has said something.
func (l *label) seen() { l.last.Store(time.Now().UnixNano()) }

// saw notes the last command.
func (l *label) saw(cmd *command) { l.cmd.Store(cmd) }

// rename changes the name.
func (l *label) rename(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.name = name
}

// called is the name.
func (l *label) called() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.name
}

// speak changes the version of the protocol.
func (l *label) speak(version resp.Version) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.version = version
}

// transacts notes how many calls are queued, -1 for no transaction, and how
// many keys are watched.
func (l *label) transacts(queued, watched int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queued, l.watched = queued, watched
}

// line is the line of CLIENT LIST. What is not known here, because nothing like
// it is there, is as Redis has it for a client that has none.
func (l *label) line() string {
	now := time.Now()
	cmd, flags := "NULL", "N"
	if last := l.cmd.Load(); last != nil {
		cmd = last.name
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.queued >= 0 {
		flags = "x"
	}
	return fmt.Sprintf("id=%d addr=%s laddr=%s fd=-1 name=%s age=%d idle=%d flags=%s db=0 sub=0 psub=0 ssub=0 multi=%d watch=%d "+
		"qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=%s user=%s redir=-1 resp=%d "+
		"lib-name=%s lib-ver=%s",
		l.id, l.remote, l.local, l.name, seconds(now.Sub(l.began)), seconds(now.Sub(time.Unix(0, l.last.Load()))), flags, l.queued, l.watched,
		cmd, defaultUser, l.version, l.library, l.libVersion)
}

func seconds(d time.Duration) int64 { return max(0, int64(d/time.Second)) }

// setInfo answers CLIENT SETINFO <LIB-NAME | LIB-VER> <value>, with the words
// of Redis 7.2, which has it first.
func setInfo(c *conn, args [][]byte) {
	field := strings.ToLower(string(args[2]))
	value := string(args[3])
	switch {
	case field != "lib-name" && field != "lib-ver":
		c.value(Failure(refusal("Unrecognized option '%s'", cut128(args[2], unknownBytesMax))))
		return
	case !printable(args[3]) || len(value) > clientNameBytesMax:
		c.value(Failure(refusal("%s cannot contain spaces, newlines or special characters.", field)))
		return
	}
	c.label.mu.Lock()
	if field == "lib-name" {
		c.label.library = value
	} else {
		c.label.libVersion = value
	}
	c.label.mu.Unlock()
	c.ok()
}
