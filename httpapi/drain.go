package httpapi

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// drainGrace is how long a server that shuts down waits for clients who owe
// it the rest of a request. One that is well sends it in one go.
const drainGrace = time.Second

// drain knows which clients wait for the server, and which the server waits
// for: those that have connected and sent nothing or half a request. The
// standard server waits for both alike when it shuts down.
type drain struct {
	mu sync.Mutex
	// whole says of each open connection that its request is here, and its
	// answer owed.
	whole map[net.Conn]bool
}

// connKey is where the context of a request has its connection.
type connKey struct{}

// watch makes a server tell of its connections.
func (d *drain) watch(server *http.Server) {
	d.whole = make(map[net.Conn]bool)
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		d.mu.Lock()
		defer d.mu.Unlock()
		switch state {
		case http.StateClosed, http.StateHijacked:
			delete(d.whole, conn)
		default:
			d.whole[conn] = false
		}
	}
}

// arrived notes that a request is here as a whole.
func (d *drain) arrived(r *http.Request) {
	conn, ok := r.Context().Value(connKey{}).(net.Conn)
	if !ok {
		return // somebody else serves the handler
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, open := d.whole[conn]; open {
		d.whole[conn] = true
	}
}

// cut closes the connections whose clients owe a request.
func (d *drain) cut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for conn, whole := range d.whole {
		if !whole {
			_ = conn.Close() // the client has given up, or will notice
		}
	}
}

// arrival is a body that notes its end.
type arrival struct {
	io.ReadCloser
	drain   *drain
	request *http.Request // as the server has it
}

func (a *arrival) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err == io.EOF {
		a.drain.arrived(a.request)
	}
	return n, err
}
