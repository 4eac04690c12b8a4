package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
)

// remote is the nodes that a command talks to, as its flags name them.
type remote struct {
	program      string // what the user types to start one
	addrs        []string
	timeout      time.Duration
	passwordFile string
	ca           string
	id           string
	stale        span
	output       choice

	// tls and password are what check made of these.
	tls      *tls.Config
	password string
}

// clientFlags adds the flags that all commands which talk to a node have.
func (r *remote) clientFlags(cmd *cobra.Command) {
	r.output = choice{outputTable, []string{outputTable, outputJSON, outputRaw}}
	flags := cmd.Flags()
	flags.StringSliceVar(&r.addrs, "addr", []string{defaultRESP}, "Redis addresses of nodes; another is tried where one does not serve the call")
	flags.DurationVar(&r.timeout, "timeout", 5*time.Second, "how long to try, over all addresses")
	flags.VarP(&r.output, "output", "o", "form of the output: raw is the bytes of the value and nothing else")
	flags.StringVar(&r.passwordFile, "password-file", "", "file of the password that the nodes want")
	flags.StringVar(&r.ca, "tls-ca", "", "speak TLS, and trust the certificates in this file")
}

// idFlag adds the flag that commands which write have too.
func (r *remote) idFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.id, "id", "", "call id: what is sent under one id within an hour takes effect once (default: a random one)")
}

// staleFlag adds the flag that commands which only read have too.
func (r *remote) staleFlag(cmd *cobra.Command) {
	cmd.Flags().Var(&r.stale, "stale", "take an answer that may be so old: a node gives it without asking the others")
}

// check refuses flags that cannot work, brings addresses into one form, and
// reads the files that flags name.
func (r *remote) check() (err error) {
	if len(r.addrs) == 0 {
		return usage("--addr names no address")
	}
	for i, text := range r.addrs {
		if r.addrs[i], err = nodeAddress(text); err != nil {
			return usage("%v", err)
		}
	}
	if r.timeout <= 0 {
		return usage("a timeout of %v leaves no time to answer", r.timeout)
	}
	if err := checkID(r.id); err != nil {
		return err
	}
	if r.tls, err = readCA(r.ca); err != nil {
		return err
	}
	r.password, err = readPassword("password-file", r.passwordFile)
	return err
}

// checkID refuses an id that does not fit into a line of a person's, nor into
// an HTTP header, as it is.
func checkID(id string) error {
	if len(id) > quorate.CallIDBytesMax {
		return usage("a call id of %d bytes is over the limit of %d", len(id), quorate.CallIDBytesMax)
	}
	for _, c := range []byte(id) {
		if c <= ' ' || c > '~' {
			return usage("the call id %q may hold printable ASCII without blanks only", id)
		}
	}
	return nil
}

// link is the way to the nodes, open for one command.
type link struct {
	remote *remote
	client *client.Client
	// dialler says what stands at the addresses.
	dialler *dialler
	// ctx ends with the command, and when nothing at the addresses is a node.
	ctx    context.Context
	cancel context.CancelFunc
	// told is the context that the user can interrupt.
	told context.Context
}

// open makes a link. It connects when the first call comes.
func (r *remote) open(ctx context.Context) (*link, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	l := &link{remote: r, told: ctx}
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.dialler = newDialler(r.addrs, r.tls, l.cancel)
	var err error
	// The client need not know of TLS: what it dials speaks it, and can say
	// what was wrong.
	l.client, err = client.Open(client.Config{Addrs: r.addrs, Password: r.password, Dial: l.dialler.dial})
	if err != nil {
		l.cancel()
		return nil, usage("--addr: %v", err)
	}
	return l, nil
}

func (l *link) close() {
	l.cancel()
	_ = l.client.Close() // it is always nil
}

// once runs one call over a link of its own.
func (r *remote) once(ctx context.Context, call quorate.Call, writes bool) (quorate.Reply, error) {
	l, err := r.open(ctx)
	if err != nil {
		return quorate.Reply{}, err
	}
	defer l.close()
	return l.run(call, writes)
}

// run gives a call to one node after the other until one serves it or refuses
// it for good, or the time is over. A write goes out under one and the same id
// each time, so that it takes effect once however often it arrives.
func (l *link) run(call quorate.Call, writes bool) (quorate.Reply, error) {
	if writes {
		call.ID = quorate.CallID(cmp.Or(l.remote.id, rand.Text())) // 130 random bits
	} else {
		call.Read = time.Duration(l.remote.stale)
	}
	ctx, cancel := context.WithTimeout(l.ctx, l.remote.timeout)
	defer cancel()
	reply := l.client.Execute(ctx, []quorate.Call{call})[0]
	if reply.Err == nil {
		return reply, nil
	}
	return reply, l.outcome(call, writes, reply.Err)
}

// outcome is what is known for sure of a call that was not served.
func (l *link) outcome(call quorate.Call, writes bool, err error) *failure {
	e, ok := errors.AsType[*quorate.Error](err)
	if !ok {
		e = &quorate.Error{Code: quorate.Internal, Outcome: quorate.Unknown, Message: err.Error()}
	}
	interrupted := l.told.Err() != nil
	switch {
	case writes && e.Outcome != quorate.NotApplied:
		if interrupted {
			e = &quorate.Error{Code: e.Code, Message: "interrupted"}
		}
		return mayHaveBeenApplied(call.ID, e)
	case !busy(e.Code):
	case interrupted:
		return failed("interrupted")
	default:
		if f := l.dialler.nobody(l.remote.program); f != nil {
			return f
		}
	}
	return refused(e, writes)
}

// busy says that a node could not serve a call, and another or a later one may.
func busy(code quorate.Code) bool {
	return code == quorate.Unavailable || code == quorate.Overloaded || code == quorate.TooOld
}

// What nodes and clients put before the reason why an outcome is unknown.
const (
	unknownPrefix = "it is not known whether the call was applied: "
	earlierPrefix = "it is not known whether an earlier attempt was applied; the last was not: "
)

// mayHaveBeenApplied is the failure of a write of unknown outcome. It names
// the id, which is all that is needed to ask again.
func mayHaveBeenApplied(id quorate.CallID, e *quorate.Error) *failure {
	f := unavailable(quorate.Unknown, "%s; it may have been applied: repeat the command with --id %s, under which it takes effect once",
		reason(e), id)
	f.ID = string(id)
	f.Leader = e.Leader
	f.Code = e.Code
	return f
}

// reason is the message of an error without words about effects.
func reason(e *quorate.Error) string {
	text := e.Error()
	for _, prefix := range []string{unknownPrefix, earlierPrefix} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
