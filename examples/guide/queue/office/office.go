// Package office is a program of one's own that has the tickets inside: a node
// beside a web server that was there before.
package office

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/examples/guide/queue"
	"github.com/quorate/quorate/httpapi"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/respapi"
)

// Serve runs a node and the web pages of the office until ctx ends or one of them
// fails.
func Serve(ctx context.Context, web, redis net.Listener, config node.Config) (err error) {
	n, err := node.Open(ctx, queue.Service, config)
	if err != nil {
		return err
	}
	api := httpapi.New(httpapi.Config{Service: queue.Service, Executor: n, Ready: n.Ready})
	mux := http.NewServeMux()
	mux.Handle("/api/", http.StripPrefix("/api", api.Handler()))
	mux.HandleFunc("POST /visa", func(w http.ResponseWriter, r *http.Request) { visa(w, r, n) })
	pages := &http.Server{Handler: mux}
	commands := respapi.New(respapi.Config{Service: queue.Service, Executor: n})

	ended := make(chan error, 2)
	go func() { ended <- pages.Serve(web) }()
	go func() { ended <- commands.Serve(redis) }()
	select {
	case <-ctx.Done():
	case <-n.Done():
	case err = <-ended:
	}
	closing := context.WithoutCancel(ctx)
	return errors.Join(err, pages.Shutdown(closing), commands.Shutdown(closing), n.Close(closing))
}

// visa hands out a ticket of the office. A node in the same process is asked as a
// function is called.
func visa(w http.ResponseWriter, r *http.Request, on quorate.Executor) {
	name := r.FormValue("name")
	number, err := quorate.Do(r.Context(), on, queue.Take{Queue: "visa", Name: &name})
	switch {
	case err == nil:
		fmt.Fprintf(w, "ticket %d\n", number)
	case quorate.OutcomeUnknown(err):
		http.Error(w, "perhaps you have a ticket: look at the line", http.StatusGatewayTimeout)
	default:
		http.Error(w, "you have no ticket: "+err.Error(), http.StatusServiceUnavailable)
	}
}

// Call calls the next one, from another process. The addresses are those of the
// Redis port of the nodes; the id is that of the desk and of its day's work.
func Call(ctx context.Context, id quorate.CallID, addrs ...string) (queue.Called, error) {
	c, err := client.Dial(addrs...)
	if err != nil {
		return queue.Called{}, err
	}
	defer c.Close()
	called, err := quorate.Do(ctx, quorate.Once(c, id), queue.Next{Queue: "visa"})
	if quorate.CodeOf(err) == queue.Empty {
		return queue.Called{}, nil // nobody waits: the desk rests
	}
	return called, err
}
