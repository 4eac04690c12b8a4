package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/load"
)

// goMaker makes clients that share the connections of package client, of which
// there is one for each address.
type goMaker struct {
	bench   *bench
	clients []*client.Client
}

func (b *bench) goMaker(d *dialler) (benchMaker, error) {
	m := &goMaker{bench: b}
	for _, addr := range b.reached {
		c, err := client.Open(client.Config{
			Addrs: b.reached, Password: b.nodes.password, Timeout: b.nodes.timeout, Dial: startingAt(addr, d.dial),
		})
		if err != nil {
			m.close()
			return nil, usage("--addr: %v", err)
		}
		m.clients = append(m.clients, c)
	}
	return m, nil
}

// errNotYet is that of a dial to another address than the first.
var errNotYet = errors.New("another address comes first")

// startingAt makes a client begin at one of its addresses, which it would choose
// at random: the others cannot be dialled before that one was.
func startingAt(first string, dial func(context.Context, string) (net.Conn, error)) func(context.Context, string) (net.Conn, error) {
	var tried atomic.Bool
	return func(ctx context.Context, addr string) (net.Conn, error) {
		if addr != first && !tried.Load() {
			return nil, fmt.Errorf("dial %s: %w", addr, errNotYet)
		}
		wire, err := dial(ctx, addr)
		if addr == first {
			tried.Store(true)
		}
		return wire, err
	}
}

func (m *goMaker) close() {
	for _, c := range m.clients {
		_ = c.Close() // it is always nil
	}
}

func (m *goMaker) open(_ context.Context, caller int) (load.Worker, error) {
	return &goWorker{maker: m, client: m.clients[caller%len(m.clients)], chooser: m.bench.chooser(caller)}, nil
}

// goWorker is one goroutine of a program that uses package client.
type goWorker struct {
	maker   *goMaker
	client  *client.Client
	chooser *chooser
}

// Close implements load.Worker.
func (w *goWorker) Close() error { return nil }

// Do implements load.Worker.
func (w *goWorker) Do(ctx context.Context) (errs []error) {
	calls := make([]quorate.Call, w.maker.bench.pipeline)
	writes := make([]bool, len(calls))
	for i := range calls {
		what, n := w.chooser.next()
		var err error
		if calls[i], err = w.call(what, n); err != nil {
			return slices.Repeat([]error{err}, len(calls))
		}
		writes[i] = what.writes()
	}
	for i, reply := range w.client.Execute(ctx, calls) {
		if err := outcomeOf(writes[i], reply.Err); err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func (w *goWorker) call(what *task, n uint64) (quorate.Call, error) {
	call := quorate.Call{Name: what.operation.Name()}
	if !what.writes() {
		call.Read = time.Duration(time.Duration(w.maker.bench.nodes.stale))
	}
	var err error
	call.Args, err = what.args(n)
	return call, err
}

// outcomeOf is the error of a call, if it counts as one: that there is nothing
// is the answer to a query, and a query that failed had no effect.
func outcomeOf(writes bool, err error) error {
	if err == nil || writes {
		return err
	}
	e, ok := errors.AsType[*quorate.Error](err)
	switch {
	case !ok:
		return err
	case e.Code == quorate.NotFound:
		return nil
	}
	return &quorate.Error{Code: e.Code, Outcome: quorate.NotApplied, Message: reason(e)}
}
