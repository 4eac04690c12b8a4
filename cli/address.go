package cli

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// The addresses at which dev listens and at which a client looks for a node.
const (
	defaultHTTP = "127.0.0.1:7300"
	defaultRESP = "127.0.0.1:7301"
	defaultPeer = "127.0.0.1:7302"
)

// nodeAddress is the host and port in what the user gave as the address of a
// node, which may be written as a URL.
func nodeAddress(text string) (string, error) {
	addr := strings.TrimSuffix(strings.TrimPrefix(text, "redis://"), "/")
	if scheme, _, found := strings.Cut(addr, "://"); found {
		return "", fmt.Errorf("address %q: %s is not spoken here; write the Redis address of a node as host:port, such as %s", text, scheme, defaultRESP)
	}
	return addr, checkAddress(addr, defaultRESP)
}

// checkAddress refuses what is not of the form of an example.
func checkAddress(addr, example string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" || strings.ContainsAny(addr, "/?#@ ") {
		return fmt.Errorf("address %q: write it as host:port, such as %s", addr, example)
	}
	return nil
}

// checkPeer refuses an address at which the other nodes cannot reach this one.
func checkPeer(addr string) error {
	if err := checkAddress(addr, defaultPeer); err != nil {
		return err
	}
	host, port, _ := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("address %q: name the host under which the other nodes reach this one", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("address %q: name a port from 1 to 65535, which stays the same over restarts", addr)
	}
	return nil
}
