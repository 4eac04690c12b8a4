package cli

import (
	"fmt"
	"net"
	"strings"
)

// The addresses at which dev listens and at which a client looks for a node.
const (
	defaultHTTP = "127.0.0.1:7300"
	defaultPeer = "127.0.0.1:7302"
)

// httpAddress is the host and port in what the user gave as an address, which
// may be written as a URL.
func httpAddress(text string) (string, error) {
	addr := strings.TrimSuffix(strings.TrimPrefix(text, "http://"), "/")
	if strings.Contains(addr, "://") {
		return "", fmt.Errorf("address %q: only http is spoken", text)
	}
	return addr, checkAddress(addr)
}

func checkAddress(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" || strings.ContainsAny(addr, "/?#@ ") {
		return fmt.Errorf("address %q: write it as host:port, such as %s", addr, defaultHTTP)
	}
	return nil
}
