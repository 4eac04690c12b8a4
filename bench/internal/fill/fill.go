// Package fill stores many keys fast, each once and in random order: what
// there must be before something is measured.
package fill

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"

	"github.com/quorate/quorate/internal/resp"
)

// Load is what is stored.
type Load struct {
	// First and Keys are the numbers of the keys: Keys of them from First on.
	First, Keys int
	// Key is how the name of a key is made of its number, as package fmt has
	// it.
	Key string
	// Value is what is stored under the key of a number. The bytes are not
	// kept. It is called by several goroutines.
	Value func(number int) []byte
	// Together is how many keys one call of the Redis protocol stores.
	// Default 1.
	Together int
}

// conns is how many connections share the work, with both protocols. etcd
// gains nothing by more.
const conns = 16

// share has every connection store a part of the keys, in random order. What
// goes wrong first ends all.
func (l Load) share(ctx context.Context, store func(ctx context.Context, numbers []int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := rand.Perm(l.Keys)
	var storing sync.WaitGroup
	for i := range conns {
		part := numbers[i*l.Keys/conns : (i+1)*l.Keys/conns]
		storing.Go(func() {
			if err := store(ctx, part); err != nil {
				cancel(err) // the first is the reason of the others
			}
		})
	}
	storing.Wait()
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("store %d keys: %w", l.Keys, err)
	}
	return nil
}

const (
	// pipelineCalls and pipelineBytes bound what is sent before the answers
	// are read: below both, neither side waits for the other to read.
	pipelineCalls = 256
	pipelineBytes = 128 << 10
)

// RESP stores all keys through pipelines of SET, or of MSET. An answer other
// than OK ends it.
func RESP(ctx context.Context, addr string, l Load) error {
	return l.share(ctx, func(ctx context.Context, numbers []int) error {
		wire, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("connect to %s: %w", addr, err)
		}
		defer wire.Close()
		defer context.AfterFunc(ctx, func() { _ = wire.Close() })()
		return l.store(wire, numbers)
	})
}

func (l Load) store(wire net.Conn, numbers []int) error {
	answers := bufio.NewReader(wire)
	var out []byte
	for len(numbers) > 0 {
		out = out[:0]
		calls := 0
		for ; len(numbers) > 0 && calls < pipelineCalls && len(out) < pipelineBytes; calls++ {
			n := min(max(l.Together, 1), len(numbers))
			out = l.append(out, numbers[:n])
			numbers = numbers[n:]
		}
		if _, err := wire.Write(out); err != nil {
			return err
		}
		for range calls {
			answer, err := answers.ReadSlice('\n')
			if err != nil {
				return err
			}
			if string(answer) != "+OK\r\n" {
				return fmt.Errorf("the answer was %q", answer)
			}
		}
	}
	return nil
}

// append appends a call that stores keys.
func (l Load) append(out []byte, numbers []int) []byte {
	name := "SET"
	if len(numbers) > 1 {
		name = "MSET"
	}
	arguments := make([][]byte, 0, 2*len(numbers))
	for _, number := range numbers {
		number += l.First
		arguments = append(arguments, fmt.Appendf(nil, l.Key, number), l.Value(number))
	}
	return resp.AppendCall(out, name, arguments...)
}
