package peer

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/quorate/quorate/internal/invariant"
)

// The defaults of Config.
const (
	// dialTimeout is several round trips around the world.
	dialTimeout = 2 * time.Second
	// handshakeTimeout lets a busy node answer, and bounds what a silent
	// stranger holds: handshakesMax connections for so long.
	handshakeTimeout = 5 * time.Second
	// pingInterval finds a dead peer before people do, for 9 bytes/s each way.
	pingInterval = 2 * time.Second
	// deadAfter is four lost pings. It also bounds how long a Handler may
	// block, because a ping waits behind it: deadAfter - pingInterval = 8 s.
	deadAfter = 10 * time.Second
)

// Config says who the node is and how it reaches others.
type Config struct {
	// Listener is where other nodes dial in; it listens already, and the
	// port closes it. Nil makes a port that only dials.
	Listener net.Listener

	// Dial connects to an address. The default is TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)

	// Group is the raft group of the node; both ends must have the same.
	Group uint64

	// Self is who this node is. It is asked at each handshake, because the
	// cluster id appears only once the cluster has formed.
	Self func() (ClusterID, Member)

	// Log receives what happens to connections. The default discards it.
	Log *slog.Logger

	// DialTimeout bounds one attempt to connect. The default is 2 s.
	DialTimeout time.Duration

	// HandshakeTimeout bounds the handshake on either side. The default is 5 s.
	HandshakeTimeout time.Duration

	// PingInterval is how often the dialler of a connection asks for a sign of
	// life. The default is 2 s.
	PingInterval time.Duration

	// DeadAfter is how long the other side may be silent before the
	// connection is closed. It must be at least twice PingInterval, here and
	// at the other side. The default is 10 s.
	DeadAfter time.Duration
}

// complete checks the configuration and fills the defaults.
func (c Config) complete() Config {
	invariant.Must(c.Self != nil, "Config.Self is set")
	if c.Dial == nil {
		var dialer net.Dialer
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, timeout := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&c.DialTimeout, dialTimeout},
		{&c.HandshakeTimeout, handshakeTimeout},
		{&c.PingInterval, pingInterval},
		{&c.DeadAfter, deadAfter},
	} {
		if *timeout.value == 0 {
			*timeout.value = timeout.fallback
		}
	}
	invariant.Must(c.DeadAfter >= 2*c.PingInterval, "DeadAfter %v is at least twice PingInterval %v", c.DeadAfter, c.PingInterval)
	return c
}
