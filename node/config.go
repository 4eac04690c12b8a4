package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
)

// Config says how one copy of a service runs. Dir and Peer are required; the
// zero value of everything else is right for most.
type Config struct {
	// Dir is the data directory. It belongs to one node for ever.
	Dir string
	// Peer is the address, host and port, under which the other nodes reach
	// this one. The node listens on it.
	Peer string
	// Join is the peer addresses of the first members of the cluster; its
	// own may be among them. The cluster forms when all of them see each
	// other. Empty means a cluster of this node alone. It is ignored once the
	// node belongs to a cluster.
	Join []string
	// Log receives one line for each change of state. Default: nothing.
	Log *slog.Logger
	// ElectionTimeout is how long a follower waits for its leader before it
	// asks for votes. Default 1 s.
	ElectionTimeout time.Duration
	// SnapshotEntries is after how many log entries a snapshot is taken and
	// the log is cut. An entry holds up to 256 KiB of calls. Default 8,192.
	SnapshotEntries uint64
	// TrailingEntries is how many entries stay behind a cut, so that a
	// follower which is a little late needs no snapshot. Default 4,096.
	TrailingEntries uint64
	// Host is what the node touches of its machine. Default: the machine.
	Host Host
}

// Host is what a node touches of the machine it runs on. Tests give it a
// simulated one.
type Host struct {
	// FS holds the data directory. Default: the files of the machine.
	FS vfs.FS
	// Listen opens the peer port. Default: TCP.
	Listen func(addr string) (net.Listener, error)
	// Dial reaches the peer port of another node. Default: TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Now is the clock that stamps log time. Default: time.Now.
	Now func() time.Time
	// SegmentBytes is the size of a file of the log. Default 16 MiB.
	SegmentBytes int64
	// LayerBytes is how much of the state stands in memory before it goes to
	// disk. Default 32 MiB.
	LayerBytes int
	// Apply runs a command. Tx is a transaction on the state at that moment, and
	// another one can be made of the two: so a command can be run, taken back
	// with Save and run again. What it wrote is dropped if there is an error; what
	// scans used up of the Visits of the moment stays so. Default: op.Apply(tx, args).
	Apply func(op *quorate.Operation, state engine.State, at engine.Moment, tx *quorate.Tx, args [][]byte) (quorate.Value, error)
}

// membersMax bounds the voters of a cluster: nine survive the loss of four,
// and each more makes every write slower.
const membersMax = 9

// withDefaults fills in what was left out and refuses what cannot work.
func (c Config) withDefaults() (Config, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.ElectionTimeout == 0 {
		c.ElectionTimeout = time.Second
	}
	if c.SnapshotEntries == 0 {
		c.SnapshotEntries = 8192
	}
	if c.TrailingEntries == 0 {
		c.TrailingEntries = 4096
	}
	c.Host = c.Host.withDefaults()
	return c, c.check()
}

func (c Config) check() error {
	if c.Dir == "" {
		return errors.New("a node needs a data directory")
	}
	if err := checkAddress(c.Peer); err != nil {
		return fmt.Errorf("peer address %q: %w", c.Peer, err)
	}
	for _, addr := range c.Join {
		if err := checkAddress(addr); err != nil {
			return fmt.Errorf("join address %q: %w", addr, err)
		}
	}
	if n := len(c.founders()); n > membersMax {
		return fmt.Errorf("%d members are over the limit of %d", n, membersMax)
	}
	if c.ElectionTimeout < 10*time.Millisecond {
		return fmt.Errorf("an election timeout of %v is below 10ms", c.ElectionTimeout)
	}
	return nil
}

// founders is the peer addresses of the first members, this node's among
// them, in order and each once.
func (c Config) founders() []string {
	addrs := append(slices.Clone(c.Join), c.Peer)
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

func (h Host) withDefaults() Host {
	if h.FS == nil {
		h.FS = vfs.Default
	}
	if h.Listen == nil {
		h.Listen = func(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }
	}
	if h.Dial == nil {
		var dialer net.Dialer
		h.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", addr)
		}
	}
	if h.Now == nil {
		h.Now = time.Now
	}
	return h
}

// checkAddress refuses an address that other nodes could not dial.
func checkAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return errors.New("name the host under which the other nodes reach this one")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("name a port from 1 to 65535, which stays the same over restarts")
	}
	return nil
}
