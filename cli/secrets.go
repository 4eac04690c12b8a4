package cli

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
)

// readPassword is the password in the file that a flag names, or empty where
// the flag was not given.
func readPassword(flag, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", failed("read the password of --%s: %v", flag, err)
	}
	// An editor ends the file with a line break, which nobody means.
	password := strings.TrimRight(string(content), "\r\n")
	if password == "" {
		return "", usage("--%s: %s holds no password", flag, file)
	}
	return password, nil
}

// readCA makes a client that speaks TLS and trusts the certificates in a file,
// or nil where no file was given.
func readCA(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, failed("read the certificates of --tls-ca: %v", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, usage("--tls-ca: %s holds no certificate in PEM form", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}
