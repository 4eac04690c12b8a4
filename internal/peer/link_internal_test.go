package peer

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quorate/quorate/internal/peer/memnet"
)

func TestCallThatFindsItsLinkWornTakesANewOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := memnet.New()
		l, err := network.Listen("b")
		if err != nil {
			t.Fatal(err)
		}
		b := Member{ID: NewNodeID(), Addr: "b"}
		port := New(Config{
			Listener: l,
			Dial:     network.Host("b").Dial,
			Self:     func() (ClusterID, Member) { return ClusterID{1}, b },
		})
		port.Handle(Calls, 1, func(_ context.Context, _ Member, body []byte, reply func([]byte, error)) { reply(body, nil) })
		port.Start()
		defer port.Close()

		worn := 0
		answered := make(chan error, 1)
		done := func(_ []byte, err error) { answered <- err }
		_, _, err = port.queue(route{b, Calls}, frame{kind: 1}, done, func(l *link) error {
			if err := l.wait(t.Context()); err != nil || worn > 0 {
				return err
			}
			worn++
			l.mu.Lock()
			l.used = l.used.Add(-time.Hour)
			l.mu.Unlock()
			if !l.retire() {
				t.Error("an idle link does not retire")
			}
			l.wire.end(errIdle)
			return nil
		})
		if err != nil {
			t.Fatalf("queue: %v", err)
		}
		if err := <-answered; err != nil {
			t.Errorf("the call: %v", err)
		}
		if got := port.Stats().Dials; got != 2 {
			t.Errorf("%d dials", got)
		}
	})
}
