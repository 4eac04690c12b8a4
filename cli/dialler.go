package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/quorate/quorate"
)

// dialler connects to nodes, and takes down what stands at each address: it is
// the user who must know which of them is wrong, and why.
type dialler struct {
	addrs []string
	tls   *tls.Config
	// hopeless is called when no address is that of a node: who forgot to start
	// one wants to be told at once.
	hopeless func()

	// mu guards found.
	mu    sync.Mutex
	found map[string]finding
}

// finding is what stands at an address.
type finding struct {
	kind kind
	// text says it in a sentence; empty where nothing answers.
	text string
}

// kind is what a finding comes to.
type kind int

const (
	nothing  kind = iota // nothing answers, or it was not asked yet
	mute                 // something takes connections and has said nothing yet
	gone                 // something takes connections and hangs up, or there is no such host
	crowded              // something refuses this client, and may not the next time
	stranger             // something that is no node, or not one for this client
	ours                 // a node
)

// greetingBytesMax bounds how much of the first answer is looked at.
const greetingBytesMax = 512

func newDialler(addrs []string, config *tls.Config, hopeless func()) *dialler {
	addrs = slices.Compact(slices.Sorted(slices.Values(addrs)))
	return &dialler{addrs: addrs, tls: config, hopeless: hopeless, found: make(map[string]finding)}
}

// dial connects to an address.
func (d *dialler) dial(ctx context.Context, addr string) (net.Conn, error) {
	wire, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) {
			d.note(addr, undialled(addr, err))
		}
		return nil, err
	}
	d.note(addr, finding{mute, addr + " took the connection and said nothing"})
	if d.tls != nil {
		if wire, err = d.secure(ctx, wire, addr); err != nil {
			return nil, err
		}
	}
	return &listener{Conn: wire, dialler: d, addr: addr}, nil
}

// undialled is what an address is at which nobody takes a connection.
func undialled(addr string, err error) finding {
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return finding{gone, addr + ": there is no host of this name"}
	}
	return finding{kind: nothing}
}

// secure makes a connection one of TLS.
func (d *dialler) secure(ctx context.Context, wire net.Conn, addr string) (net.Conn, error) {
	config := d.tls.Clone()
	config.ServerName, _, _ = net.SplitHostPort(addr) // it was checked
	secured := tls.Client(wire, config)
	err := secured.HandshakeContext(ctx)
	if err == nil {
		return secured, nil
	}
	_ = wire.Close() // the error says more
	if ctx.Err() == nil {
		text := fmt.Sprintf("no TLS with %s: %v; leave --tls-ca out if it speaks none", addr, err)
		if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			text = fmt.Sprintf("the certificate of %s is none that --tls-ca vouches for: %v", addr, e.Err)
		}
		d.note(addr, finding{stranger, text})
	}
	return nil, err
}

// note takes down what stands at an address. Once there was a node, what
// happens to it is a matter of the calls; and what says nothing yet may say the
// same as the last time.
func (d *dialler) note(addr string, f finding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.found[addr].kind
	if before == ours || f.kind == mute && before != nothing {
		return
	}
	d.found[addr] = f
	for _, addr := range d.addrs {
		f, known := d.found[addr]
		if !known || f.kind == mute || f.kind == crowded || f.kind == ours {
			return
		}
	}
	d.hopeless()
}

// nobody is the failure of a call that found no node at any address; nil if
// there was one.
func (d *dialler) nobody(program string) *failure {
	d.mu.Lock()
	defer d.mu.Unlock()
	var most finding
	for _, addr := range d.addrs {
		switch f := d.found[addr]; {
		case f.kind == ours:
			return nil
		case f.kind > most.kind:
			most = f
		}
	}
	switch most.kind {
	case nothing:
		return unavailable(quorate.NotApplied, "nothing answers at %s: start a node with: %s dev", strings.Join(d.addrs, ", "), program)
	case stranger:
		return failed("%s", most.text)
	}
	return unavailable(quorate.NotApplied, "%s", most.text)
}

// listener is a connection that listens to how the other side begins.
type listener struct {
	net.Conn
	dialler *dialler
	addr    string
	// heard says that the other side has begun, or hung up.
	heard bool
}

// Read is that of the connection.
func (l *listener) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if l.heard || n == 0 && err == nil {
		return n, err
	}
	l.heard = true
	switch {
	case n > 0:
		l.dialler.note(l.addr, understand(l.addr, b[:min(n, greetingBytesMax)]))
	case !errors.Is(err, net.ErrClosed) && !timedOut(err): // not given up by this side
		l.dialler.note(l.addr, finding{gone,
			l.addr + " hangs up without a word: is it the Redis address of a node? One that speaks TLS needs --tls-ca"})
	}
	return n, err
}

func timedOut(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// understand is what somebody is who begins with these bytes.
func understand(addr string, greeting []byte) finding {
	line, _, _ := bytes.Cut(greeting, []byte("\r\n"))
	text := string(line)
	switch {
	case strings.HasPrefix(text, "HTTP/"):
		return finding{stranger, addr + " speaks HTTP: give the address of a node's Redis port, such as " + defaultRESP}
	case greeting[0] == 0x15: // an alert of TLS
		return finding{stranger, addr + " speaks TLS: name the file of its certificates with --tls-ca"}
	case strings.HasPrefix(text, "-NOAUTH"):
		return finding{stranger, addr + " wants a password: name its file with --password-file"}
	case strings.HasPrefix(text, "-WRONGPASS"):
		return finding{stranger, addr + " does not take the password of --password-file"}
	case strings.HasPrefix(text, "-ERR unknown command"):
		return finding{stranger, addr + " speaks the protocol of Redis, but is not a node"}
	case strings.HasPrefix(text, "-ERR AUTH"):
		return finding{stranger, addr + " has no password: leave --password-file out"}
	case greeting[0] == '-':
		return finding{crowded, fmt.Sprintf("%s answers: %.200s", addr, text[1:])}
	case greeting[0] == '+' || greeting[0] == '$':
		return finding{kind: ours}
	}
	return finding{stranger, fmt.Sprintf("%s answers %.40q: is it the Redis address of a node?", addr, text)}
}
