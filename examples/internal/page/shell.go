package page

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/cli"
)

var rewrite = flag.Bool("rewrite", false, "write what is answered into the pages")

// Main is the program of a service if that is the name under which the test was
// started, and runs the tests if not. It returns the exit code of the tests.
func Main(m *testing.M, service *quorate.Service) int {
	if filepath.Base(os.Args[0]) == service.Name() {
		cli.Main(service)
	}
	return m.Run()
}

func serves(command string) bool { return command == "dev" || command == "serve" }

// patience is how long a line may take, and a server until it is ready.
const patience = 30 * time.Second

// shell is where the transcripts of a page are typed.
type shell struct {
	t       *testing.T
	name    string   // of the program
	dir     string   // where it is typed
	env     []string // of the shell
	ports   map[string]string
	servers []*server
}

// server is a process that runs beside what is typed. It ends when its input does.
type server struct {
	health string // where it says that it is ready
	in     io.Closer
	done   chan struct{} // closed when it has ended
}

// Run types the transcripts of a page, in their order, and fails t where
// something else is answered than stands there. The program is the test itself.
func Run(t *testing.T, service *quorate.Service, path string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	RunProgram(t, service.Name(), self, path)
}

// RunProgram is Run with a program that stands elsewhere.
func RunProgram(t *testing.T, name, binary, path string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the transcripts are those of a Unix shell")
	}
	for _, program := range []string{"sh", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s to type the transcripts with", program)
		}
	}
	lines := mustRead(t, path)
	s := open(t, name, binary)
	typed, shift := 0, 0
	for _, b := range blocks(slices.Clone(lines)) {
		if b.language != "console" {
			continue
		}
		typed++
		got := s.transcript(b.lines)
		if *rewrite {
			lines = slices.Replace(lines, b.first+shift, b.first+shift+len(b.lines), got...)
			shift += len(got) - len(b.lines)
			continue
		}
		if want, have := compared(b.lines), compared(got); want != have {
			t.Errorf("%s:%d: it says\n%s\nand what came is\n%s", path, b.first+1, want, have)
		}
	}
	if typed == 0 {
		t.Fatalf("%s has no transcript", path)
	}
	if *rewrite {
		if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// open makes a directory with the program in it. Its redis-cli answers as it does
// to a person.
func open(t *testing.T, name, binary string) *shell {
	t.Helper()
	s := &shell{t: t, name: name, dir: t.TempDir(), ports: make(map[string]string)}
	bin := t.TempDir()
	err := os.Symlink(binary, filepath.Join(bin, name))
	if redis, missing := exec.LookPath("redis-cli"); err == nil && missing == nil {
		err = os.WriteFile(filepath.Join(bin, "redis-cli"), []byte("#!/bin/sh\nexec "+redis+" --no-raw \"$@\"\n"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	prefix := strings.ToUpper(name) + "_"
	s.env = append(os.Environ(),
		"PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		// A program with the race detector would wait a second before it ends.
		"GORACE=atexit_sleep_ms=10",
		prefix+"ADDR="+s.free("127.0.0.1:7301"),
	)
	t.Cleanup(func() {
		for _, one := range s.servers {
			one.end()
		}
	})
	return s
}

// port is one that stands for a free one.
var port = regexp.MustCompile(`\b73\d\d\b`)

// free is a text with ports that are free.
func (s *shell) free(text string) string {
	return port.ReplaceAllStringFunc(text, func(told string) string {
		if s.ports[told] == "" {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				s.t.Fatal(err)
			}
			defer listener.Close()
			_, s.ports[told], _ = net.SplitHostPort(listener.Addr().String())
		}
		return s.ports[told]
	})
}

// told is a text with the ports and the directory that the page tells of.
func (s *shell) told(text string) string {
	for told, free := range s.ports {
		text = regexp.MustCompile(`\b`+free+`\b`).ReplaceAllString(text, told)
	}
	text = strings.ReplaceAll(text, s.dir, "/home/ann")
	return strings.ReplaceAll(text, " --addr 127.0.0.1:7301", "")
}

// transcript types what a block says, and returns the block as it came.
func (s *shell) transcript(lines []string) (got []string) {
	s.t.Helper()
	for i, line := range lines {
		command, typed := strings.CutPrefix(line, "$ ")
		if !typed {
			continue
		}
		expected := 0
		for _, answer := range lines[i+1:] {
			if strings.HasPrefix(answer, "$ ") {
				break
			}
			expected++
		}
		got = append(got, line)
		if strings.HasPrefix(command, "redis-cli ") && !s.has("redis-cli") {
			got = append(got, lines[i+1:i+1+expected]...)
			continue
		}
		if answer := strings.TrimRight(s.told(s.typed(command)), "\n"); answer != "" {
			got = append(got, strings.Split(answer, "\n")...)
		}
	}
	return got
}

func (s *shell) has(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// typed is what one line prints.
func (s *shell) typed(line string) string {
	s.t.Helper()
	line = s.free(strings.TrimSuffix(line, " &"))
	words := strings.Fields(line)
	switch {
	case words[0] == s.name && len(words) > 1 && serves(words[1]):
		return s.serve(line, words)
	case words[0] == "kill":
		var number int
		if _, err := fmt.Sscanf(words[1], "%%%d", &number); err != nil || number > len(s.servers) {
			s.t.Fatalf("%s: that is none of the %d servers", line, len(s.servers))
		}
		s.servers[number-1].end()
		return ""
	}
	for _, one := range s.servers {
		s.ready(one)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir, cmd.Env = s.dir, s.env
	out, err := cmd.CombinedOutput()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed || ctx.Err() != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	return string(out)
}

// serve starts a server, and is what it prints at first.
func (s *shell) serve(line string, words []string) string {
	s.t.Helper()
	one := &server{done: make(chan struct{})}
	// The test holds the other end of what cat reads, so that no server outlives it.
	cmd := exec.Command("sh", "-c", line+" & server=$!; cat >/dev/null; kill $server; wait $server")
	cmd.Dir, cmd.Env = s.dir, s.env
	if words[1] == "dev" {
		prefix := strings.ToUpper(s.name) + "_"
		one.health = s.free("127.0.0.1:7300")
		cmd.Env = append(slices.Clone(s.env), prefix+"HTTP="+one.health,
			prefix+"RESP="+s.free("127.0.0.1:7301"), prefix+"PEER="+s.free("127.0.0.1:7302"))
	} else if i := slices.Index(words, "--http"); i >= 0 && i+1 < len(words) {
		one.health = words[i+1]
	}
	out := new(prints)
	cmd.Stdout, cmd.Stderr = out, s.t.Output()
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
	one.in = in
	go func() {
		defer close(one.done)
		_ = cmd.Wait() // an end that nobody asked for shows in what is typed next
	}()
	s.servers = append(s.servers, one)
	if words[1] == "dev" {
		s.ready(one)
	}
	return out.String()
}

// ready waits until a server that was not ended serves.
func (s *shell) ready(one *server) {
	s.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		select {
		case <-one.done:
			return
		default:
		}
		ctx, cancel := context.WithDeadline(s.t.Context(), deadline)
		ok := healthy(ctx, one.health)
		cancel()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("the server at %s is not ready", one.health)
		}
		pause(s.t.Context())
	}
}

func healthy(ctx context.Context, addr string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// pause is a moment between two questions to a process, which nothing here can
// be told by.
func pause(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	<-ctx.Done()
}

// end ends a server in order.
func (one *server) end() {
	_ = one.in.Close()
	<-one.done
}

// prints is what a process prints while it runs.
type prints struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (p *prints) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

// String is all of it so far.
func (p *prints) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

var (
	index  = regexp.MustCompile(`("index":|"lag":)\d+`)
	number = regexp.MustCompile(`\d{5,}|\d+\.\d+`)
	spaces = regexp.MustCompile(` +`)
)

// compared is a block without what differs from run to run.
func compared(lines []string) string {
	text := index.ReplaceAllString(strings.Join(lines, "\n"), "${1}0")
	return spaces.ReplaceAllString(number.ReplaceAllString(text, "#"), " ")
}
