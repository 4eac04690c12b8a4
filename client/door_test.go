package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/respapi"
	"github.com/quorate/quorate/values"
)

// serveDoor serves the Redis door of a node, on TCP.
func serveDoor(t *testing.T, config respapi.Config) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config.Service, config.Executor = kv.Service, newOnce(memory.New(kv.Service))
	server := respapi.New(config)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
		serving.Wait()
	})
	return l.Addr().String()
}

// certificate is one for 127.0.0.1, and who trusts it.
func certificate(t *testing.T) (server, trusting *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
}

func TestDoorOfANodeServesTheClient(t *testing.T) {
	server, trusting := certificate(t)
	for name, c := range map[string]struct {
		door   respapi.Config
		client client.Config
		want   string // in the error
	}{
		"plain":             {respapi.Config{}, client.Config{}, ""},
		"password":          {respapi.Config{Password: "secret"}, client.Config{Password: "secret"}, ""},
		"no password":       {respapi.Config{Password: "secret"}, client.Config{}, "NOAUTH"},
		"wrong password":    {respapi.Config{Password: "secret"}, client.Config{Password: "wrong"}, "WRONGPASS"},
		"TLS":               {respapi.Config{TLS: server}, client.Config{TLS: trusting}, ""},
		"TLS and password":  {respapi.Config{TLS: server, Password: "secret"}, client.Config{TLS: trusting, Password: "secret"}, ""},
		"TLS without trust": {respapi.Config{TLS: server}, client.Config{TLS: &tls.Config{}, Timeout: 300 * time.Millisecond}, "certificate"},
		"one with TLS":      {respapi.Config{TLS: server}, client.Config{Timeout: 300 * time.Millisecond}, "greet"},
	} {
		t.Run(name, func(t *testing.T) {
			c.client.Addrs = []string{serveDoor(t, c.door)}
			made := mustOpen(t, c.client)
			defer mustClose(t, made)
			n, err := inc(t.Context(), made, "k")
			switch {
			case c.want == "" && (err != nil || n != 1):
				t.Errorf("inc is %d, %v", n, err)
			case c.want != "" && (err == nil || quorate.OutcomeUnknown(err) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestLargestCallsAndAnswersPassTheDoorOfANode(t *testing.T) {
	c := mustOpen(t, client.Config{Addrs: []string{serveDoor(t, respapi.Config{Password: "secret"})}, Password: "secret"})
	defer mustClose(t, c)
	value := values.Bytes(strings.Repeat("v", quorate.ArgsBytesMax-100))
	var calls []quorate.Call
	for range 3 {
		calls = append(calls, mustCall(t, kv.Put{Key: "k", Value: value}), mustCall(t, kv.Get{Key: "k"}))
	}
	for i, r := range c.Execute(t.Context(), calls) {
		if r.Err != nil || !r.Value.Equal(value) {
			t.Errorf("reply %d: %v", i, r.Err)
		}
	}
	many := make([]quorate.Call, 20_000)
	for i := range many {
		many[i] = mustCall(t, kv.Inc{Key: "n", By: 1})
	}
	for i, r := range c.Execute(t.Context(), many) {
		if r.Err != nil || r.Value.Int() != int64(i)+1 {
			t.Fatalf("reply %d: %+v", i, r)
		}
	}
}
