package respapi_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/respapi"
)

// hostileFile has packets and what Redis 7.0.15 answers to them, in turns; see
// package resp. A packet begins with who sends it: before or after
// authentication.
const hostileFile = "../internal/resp/testdata/hostile.txt"

// otherError is an error of a command, which the file has as "other".
var otherError = regexp.MustCompile(`(?m)^-(NOAUTH|ERR unknown|ERR wrong)[^\r\n]*\r$`)

func TestHostilePacketsHurtNobody(t *testing.T) {
	_, open := mustServe(t, respapi.Config{})
	_, closed := mustServe(t, respapi.Config{Password: "sesame"})
	other := mustDial(t, open)
	data, err := os.ReadFile(hostileFile)
	if err != nil {
		t.Fatal(err)
	}
	var packets []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" && line[0] != '#' {
			packets = append(packets, line)
		}
	}
	if len(packets) < 2*100 {
		t.Fatalf("%d lines, want 100 packets and answers at least", len(packets))
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := 0; i < len(packets); i += 2 {
		who, quoted, _ := strings.Cut(packets[i], " ")
		packet, want := mustUnquote(t, quoted), mustUnquote(t, strings.TrimSpace(packets[i+1]))
		address := open
		if who == "before" {
			address = closed
		}
		got := otherError.ReplaceAllString(exchange(t, address, packet), "-ERR other\r")
		if got != want {
			t.Errorf("%s %.200s: answered %q, Redis answers %q", who, quoted, got, want)
		}
		other.mustAnswer("PING", "+PONG")
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 64<<20 {
		t.Errorf("%d bytes of memory were taken", grown)
	}
}

// mustUnquote reads packets as the file has them: quoted strings, each with a
// number of times, as in "*1\r\n" + "a" * 70000.
func mustUnquote(t testing.TB, text string) string {
	t.Helper()
	var packet strings.Builder
	for text != "" {
		quoted, err := strconv.QuotedPrefix(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		s, _ := strconv.Unquote(quoted)
		text = strings.TrimPrefix(text, quoted)
		times := 1
		if rest, ok := strings.CutPrefix(text, " * "); ok {
			number, _, _ := strings.Cut(rest, " ")
			if times, err = strconv.Atoi(number); err != nil {
				t.Fatalf("%q: %v", rest, err)
			}
			text = strings.TrimPrefix(rest, number)
		}
		text = strings.TrimPrefix(text, " + ")
		packet.WriteString(strings.Repeat(s, times))
	}
	return packet.String()
}

// TestThePacketThatKillsOthers is told of a server that is in wide use: 26 bytes
// end it before anybody has said who he is.
func TestThePacketThatKillsOthers(t *testing.T) {
	_, address := mustServe(t, respapi.Config{Password: "sesame"})
	other := mustDial(t, address)
	if got := exchange(t, address, "*1\r\n$9223372036854775807\r\nx"); got != "-ERR Protocol error: invalid bulk length\r\n" {
		t.Errorf("answered %q", got)
	}
	other.mustAnswer("AUTH sesame", "+OK")
}

func TestBrowserIsNotAnswered(t *testing.T) {
	on := memory.New(notes)
	_, address := mustServe(t, respapi.Config{Executor: on})
	for _, packet := range []string{
		"POST / HTTP/1.1\r\nHost: localhost:7301\r\nContent-Type: text/plain\r\n\r\nSET a 1\r\n",
		"GET / HTTP/1.1\r\nHost: localhost:7301\r\n\r\nSET a 1\r\n",
		"OPTIONS / HTTP/1.1\r\n\r\nSET a 1\r\n",
		"Host: localhost:7301\r\nSET a 1\r\n",
		"*1\r\n$4\r\nPOST\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n",
		"*2\r\n$5\r\nhost:\r\n$1\r\nx\r\nSET a 1\r\n",
		"GET /SET HTTP/1.1\r\nSET a 1\r\n",
	} {
		if got := exchange(t, address, packet); got != "" {
			t.Errorf("%q: answered %q", packet, got)
		}
	}
	if len(on.Calls) > 0 {
		t.Errorf("%d calls were run, the first is %+v", len(on.Calls), on.Calls[0])
	}
}

func TestOnePanicClosesOneConnection(t *testing.T) {
	var log lines
	on := memory.New(notes)
	_, address := mustServe(t, respapi.Config{
		Log: log.logger(),
		Executor: memory.Func(func(ctx context.Context, calls []quorate.Call) []quorate.Reply {
			if len(calls[0].Args) > 0 && string(calls[0].Args[0]) == "panic" {
				panic("of the executor")
			}
			return on.Execute(ctx, calls)
		}),
	})
	other := mustDial(t, address)
	for _, packet := range []string{
		"SET a 1\r\nPING\r\nSET panic 1\r\nSET a 2\r\n", "MULTI\r\nSET a 1\r\nPING\r\nMULTI\r\n",
		string(frameOf(quorate.Call{Name: "INC", Args: args("panic")})) + string(frameOf(quorate.Call{Name: "TAKE", Args: args("a")})),
		string(frameOf(quorate.Call{Name: "TAKE", Args: args("panic")})) + string(frameOf(quorate.Call{Name: "INC", Args: args("a")})),
	} {
		exchange(t, address, packet)
		other.mustAnswer("PING", "+PONG")
	}
	if n := strings.Count(log.String(), "panic while answering"); n != 3 {
		t.Errorf("%d lines tell of a panic, want 3:\n%s", n, log.String())
	}
}

func TestOneClientTooManyIsToldSo(t *testing.T) {
	server, address := mustServe(t, respapi.Config{MaxClients: 2})
	first, second := mustDial(t, address), mustDial(t, address)
	first.mustAnswer("PING", "+PONG")
	second.mustAnswer("PING", "+PONG")
	if got := exchange(t, server.Addr().String(), ""); got != "-ERR max number of clients reached\r\n" {
		t.Errorf("the third is answered %q", got)
	}
	first.mustAnswer("QUIT", "+OK")
	first.mustEnd()
	for end := time.Now().Add(5 * time.Second); exchange(t, address, "PING\r\n") != "+PONG\r\n"; {
		if time.Now().After(end) {
			t.Fatal("there is no place for the next one")
		}
	}
	second.send("INFO stats")
	if text := second.read().Text(); strings.Contains(text, "rejected_connections:0") {
		t.Errorf("INFO stats:\n%s", text)
	}
	second.mustAnswer("CONFIG RESETSTAT", "+OK")
	second.send("INFO stats")
	if text := second.read().Text(); !strings.Contains(text, "rejected_connections:0") {
		t.Errorf("INFO stats:\n%s", text)
	}
}

func TestClientsAreListedAndKilled(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c, other := mustDial(t, address), mustDial(t, address)
	c.mustAnswer("CLIENT ID", ":1")
	other.mustAnswer("CLIENT ID", ":2")
	other.mustAnswer("CLIENT SETNAME bob", "+OK")
	other.mustAnswer("CLIENT SETINFO lib-name lib", "+OK")
	other.mustAnswer("WATCH a b", "+OK")
	other.mustAnswer("MULTI", "+OK")
	other.mustAnswer("PING", "+QUEUED")
	c.send("CLIENT LIST")
	list := c.read().Text()
	line := func(id int, c *talker, name, flags string, multi, watch int, cmd, library string) string {
		return fmt.Sprintf("id=%d addr=%s laddr=%s fd=-1 name=%s age=0 idle=0 flags=%s db=0 sub=0 psub=0 ssub=0 multi=%d watch=%d "+
			"qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd=%s user=default redir=-1 resp=2 "+
			"lib-name=%s lib-ver=\n", id, c.LocalAddr(), c.RemoteAddr(), name, flags, multi, watch, cmd, library)
	}
	second := line(2, other, "bob", "x", 1, 2, "ping", "lib")
	if want := line(1, c, "", "N", -1, 0, "client|list", "") + second; list != want {
		t.Errorf("CLIENT LIST\n%swant\n%s", list, want)
	}
	for question, want := range map[string]string{
		"CLIENT LIST ID 2 9":       second,
		"CLIENT LIST ID 9":         "",
		"CLIENT LIST TYPE replica": "",
	} {
		c.send(question)
		if got := c.read().Text(); got != want {
			t.Errorf("%s\n%swant\n%s", question, got, want)
		}
	}
	c.send("CLIENT INFO")
	if got := c.read().Text(); !strings.HasPrefix(got, "id=1 ") || strings.Count(got, "\n") != 1 {
		t.Errorf("CLIENT INFO %q", got)
	}
	c.mustAnswer("CLIENT KILL ID 2 ADDR x", ":0")
	c.mustAnswer("CLIENT KILL ID 1", ":0") // SKIPME is yes
	c.mustAnswer("CLIENT KILL ID 2 TYPE normal USER default LADDR "+address, ":1")
	other.mustEnd()
	third := mustDial(t, address)
	third.mustAnswer("PING", "+PONG")
	c.mustAnswer("CLIENT KILL "+third.LocalAddr().String(), "+OK")
	third.mustEnd()
	c.mustAnswer("CLIENT KILL ADDR "+c.LocalAddr().String()+" SKIPME no", ":1")
	c.mustEnd()
}

// mustCertify makes a certificate for 127.0.0.1, and who trusts it.
func mustCertify(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

func TestTLSIsSpokenWithWhoSpeaksIt(t *testing.T) {
	serverTLS, clientTLS := mustCertify(t)
	_, address := mustServe(t, respapi.Config{TLS: serverTLS})
	secure, err := tls.Dial("tcp", address, clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = secure.Close() })
	c := newTalker(t, secure)
	c.mustAnswer("PING", "+PONG")
	c.call("SET", "a", strings.Repeat("x", 100<<10))
	if got := show(c.read()); got != "+OK" {
		t.Fatal(got)
	}
	// A plain client gets an alert of TLS at most, and no answer.
	if got := exchange(t, address, "PING\r\n"); strings.Contains(got, "PONG") {
		t.Errorf("a plain client is answered %q", got)
	}
	c.send("GET a")
	if got := c.read(); len(got.Text()) != 100<<10 {
		t.Errorf("answered %d bytes", len(got.Text()))
	}
	c.mustAnswer("QUIT", "+OK")
	c.mustEnd()
}

func TestAnswersThatAreMuchTogetherArriveWhole(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c := mustDial(t, address)
	c.call("SET", "a", strings.Repeat("x", 512<<10))
	c.read()
	go func() { _, _ = io.WriteString(c, strings.Repeat("GET a\r\n", 40)) }()
	for i := range 40 {
		if v := c.read(); len(v.Text()) != 512<<10 {
			t.Fatalf("answer %d has %d bytes", i, len(v.Text()))
		}
	}
}
