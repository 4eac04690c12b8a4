package httpapi

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
)

// endless accepts a pipe whenever it is asked.
type endless struct{ net.Listener }

func (endless) Accept() (net.Conn, error) {
	ours, theirs := net.Pipe()
	_ = ours.Close()
	return theirs, nil
}

func (endless) Close() error { return nil }

func TestListenerWaitsForAConnectionToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit(endless{}, 2)
		first, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Accept(); err != nil {
			t.Fatal(err)
		}
		accepted := make(chan error, 1)
		go func() {
			_, err := l.Accept()
			accepted <- err
		}()
		synctest.Wait()
		if len(accepted) > 0 {
			t.Fatal("a third connection was accepted beside two")
		}
		_ = first.Close()
		_ = first.Close() // frees no second slot
		if err := <-accepted; err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := l.Accept()
			accepted <- err
		}()
		synctest.Wait()
		if len(accepted) > 0 {
			t.Fatal("closing a connection twice freed two slots")
		}
		if err := errors.Join(l.Close(), l.Close()); err != nil {
			t.Fatal(err)
		}
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Fatalf("Accept of a closed listener: %v", err)
		}
	})
}
