package cli

import (
	"crypto/tls"

	"github.com/spf13/cobra"
)

// respFlags is how the Redis protocol is served.
type respFlags struct {
	addr         string
	cert, key    string
	passwordFile string
	maxClients   uint64

	// tls and password are what check made of these.
	tls      *tls.Config
	password string
}

func (r *respFlags) bind(cmd *cobra.Command, addr string) {
	flags := cmd.Flags()
	flags.StringVar(&r.addr, "resp", addr, "address on which to serve the Redis protocol; empty for none")
	flags.StringVar(&r.cert, "resp-cert", "", "file of the certificate with which the Redis protocol is served over TLS")
	flags.StringVar(&r.key, "resp-key", "", "file of the key of that certificate")
	flags.StringVar(&r.passwordFile, "resp-password-file", "", "file of the password that Redis clients must know")
	flags.Uint64Var(&r.maxClients, "resp-max-clients", 10_000, "connections of Redis clients that may be open")
}

// check refuses flags that cannot work, and reads the files they name.
func (r *respFlags) check() error {
	if r.addr == "" {
		if r.cert != "" || r.key != "" || r.passwordFile != "" {
			return usage("--resp is missing: the other flags of the Redis protocol are nothing without it")
		}
		return nil
	}
	if err := checkAddress(r.addr, defaultRESP); err != nil {
		return usage("--resp: %v", err)
	}
	if r.maxClients == 0 || r.maxClients > 1<<20 {
		return usage("--resp-max-clients is %d, not a number from 1 to %d", r.maxClients, 1<<20)
	}
	if (r.cert == "") != (r.key == "") {
		return usage("--resp-cert and --resp-key go together")
	}
	if r.cert != "" {
		pair, err := tls.LoadX509KeyPair(r.cert, r.key)
		if err != nil {
			return failed("read the certificate of the Redis protocol: %v", err)
		}
		r.tls = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	password, err := readPassword("resp-password-file", r.passwordFile)
	r.password = password
	return err
}
