package respapi_test

import (
	"context"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/respapi"
)

// answerBytesMax bounds what a fuzzed client is answered: the commands it sends
// are fewer than its bytes, and the longest answer, COMMAND DOCS, is of 40 KiB.
const answerBytesMax = 40 << 10

// FuzzConnection sends arbitrary bytes, in two pieces, to a door that runs, as a
// client of either kind. Nothing may panic, the connection must end when the
// client does, and the answers are bounded by what was sent.
func FuzzConnection(f *testing.F) {
	for line := range strings.Lines(conversations) {
		said, _ := strings.CutPrefix(strings.TrimSpace(line), "password ")
		f.Add([]byte(strings.ReplaceAll(said, " | ", "\r\n")+"\r\n"), uint16(len(said)/2), strings.HasPrefix(line, "password"))
	}
	data, err := os.ReadFile(hostileFile)
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if who, quoted, ok := strings.Cut(strings.TrimSpace(line), " "); ok && (who == "before" || who == "after") {
			if packet := mustUnquote(f, quoted); len(packet) < 1000 {
				f.Add([]byte(packet), uint16(len(packet)/3), who == "before")
			}
		}
	}
	inc := quorate.Call{Name: "INC", Args: args("n"), ID: "i"}
	f.Add(append(frameOf(inc), frameOf(quorate.Call{Name: "TAKE", Args: args("n")}, inc)...), uint16(9), false)
	f.Add([]byte("ONCE a STALE 5 GET a\r\nMULTI\r\nSET a 1\r\nINCR a\r\nboom\r\nONCE b EXEC\r\n"), uint16(9), false)

	var log lines
	doors := map[bool]*pipes{}
	for _, guarded := range []bool{false, true} {
		config := respapi.Config{Service: notes, Table: mustTable(f), Executor: new(forgetful), Log: log.logger()}
		if guarded {
			config.Password = "sesame"
		}
		server, listener := respapi.New(config), newPipes()
		go func() { _ = server.Serve(listener) }()
		f.Cleanup(func() { _ = server.Shutdown(context.Background()) })
		doors[guarded] = listener
	}
	f.Fuzz(func(t *testing.T, data []byte, place uint16, guarded bool) {
		if len(data) > 64<<10 {
			return
		}
		goroutines := runtime.NumGoroutine()
		at := min(int(place), len(data))
		c := &scripted{pieces: [][]byte{data[:at], data[at:]}, closed: make(chan struct{})}
		doors[guarded].conns <- c
		select {
		case <-c.closed:
		case <-time.After(20 * time.Second):
			t.Fatalf("the connection stays open behind %q", data)
		}
		n := c.answered
		if most := int64(answerBytesMax) * int64(len(data)+1); n > most {
			t.Fatalf("%d bytes are answered to %d", n, len(data))
		}
		if after := runtime.NumGoroutine(); after > goroutines+8 {
			t.Fatalf("%d goroutines became %d", goroutines, after)
		}
		if strings.Contains(log.String(), "panic while answering") {
			t.Fatal(log.String())
		}
		log.reset()
	})
}

// scripted is a connection whose client sends pieces and then no more. All that
// is answered is counted.
type scripted struct {
	net.Conn // nil: nothing else is called
	pieces   [][]byte
	answered int64
	closed   chan struct{}
	once     sync.Once
}

func (s *scripted) Read(p []byte) (int, error) {
	for len(s.pieces) > 0 && len(s.pieces[0]) == 0 {
		s.pieces = s.pieces[1:]
	}
	if len(s.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.pieces[0])
	s.pieces[0] = s.pieces[0][n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error) {
	s.answered += int64(len(p))
	return len(p), nil
}

func (s *scripted) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

func (s *scripted) LocalAddr() net.Addr              { return (*pipes)(nil).Addr() }
func (s *scripted) RemoteAddr() net.Addr             { return (*pipes)(nil).Addr() }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

// forgetful is an executor that forgets its state from time to time, because a
// state in memory costs with each write as much as there is.
type forgetful struct {
	calls atomic.Int64
	on    atomic.Pointer[memory.Executor]
}

func (f *forgetful) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	if f.calls.Add(1)%1000 == 1 {
		f.on.Store(memory.New(notes))
	}
	return f.on.Load().Execute(ctx, calls)
}

// reset forgets what was written.
func (l *lines) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}
