package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"
)

// Config says which nodes a Client talks to, and how. Only Addrs is required.
type Config struct {
	// Addrs is the addresses, host and port, of the Redis port of the nodes. A
	// client knows no others. The order means nothing.
	Addrs []string
	// ConnsPerNode is the most connections to one node. There is one while few
	// calls are under way at once. Default 4.
	ConnsPerNode int
	// TLS, if not nil, makes each connection one of TLS. Where it names no
	// server, the certificate must be for the host of the address.
	TLS *tls.Config
	// Password, if not empty, is told to each node; without TLS in the clear.
	Password string
	// Timeout bounds calls whose context has no deadline. Default 5 s.
	Timeout time.Duration
	// Dial connects to an address. Default: TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Log gets one line for each connection that comes up or ends, and at debug
	// level for each that does not come up. Default: nothing.
	Log *slog.Logger
}

const (
	// addrsMax bounds the addresses: a cluster has at most 9 voters.
	addrsMax = 64
	// connsDefault is the default of ConnsPerNode. One connection is served by
	// one goroutine of the node, which waits for what it sent down together.
	connsDefault = 4
	// connsMax bounds ConnsPerNode. More would send less with each write.
	connsMax = 64
	// timeoutDefault is that of a node in the same process.
	timeoutDefault = 5 * time.Second
)

// withDefaults fills in what was left out and refuses what cannot work.
func (config Config) withDefaults() (Config, error) {
	config.Addrs = slices.Clone(config.Addrs)
	slices.Sort(config.Addrs)
	config.Addrs = slices.Compact(config.Addrs)
	if config.ConnsPerNode == 0 {
		config.ConnsPerNode = connsDefault
	}
	if config.Timeout == 0 {
		config.Timeout = timeoutDefault
	}
	if config.Dial == nil {
		var dialer net.Dialer
		config.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", addr)
		}
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	return config, config.check()
}

func (config Config) check() error {
	switch n := len(config.Addrs); {
	case n == 0:
		return errors.New("a client needs the address of at least one node")
	case n > addrsMax:
		return fmt.Errorf("%d addresses are over the limit of %d", n, addrsMax)
	}
	for _, addr := range config.Addrs {
		if err := checkAddress(addr); err != nil {
			return fmt.Errorf("address %q of a node: %w", addr, err)
		}
	}
	if n := config.ConnsPerNode; n < 1 || n > connsMax {
		return fmt.Errorf("%d connections to one node are not from 1 to %d", n, connsMax)
	}
	if config.Timeout < 0 {
		return fmt.Errorf("a timeout of %v leaves no time to answer", config.Timeout)
	}
	return nil
}

// checkAddress refuses an address that cannot be dialled.
func checkAddress(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if host == "" {
		return errors.New("name a host")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("name a port from 1 to 65535")
	}
	return nil
}
