package cli

import (
	"context"
	"math/rand/v2"

	"github.com/quorate/quorate/internal/load"
)

// keyPrefix begins all keys that bench writes, so that they meet nobody else's.
const keyPrefix = "bench:"

// The keys of put and get are apart from those of inc, which must hold integers.
const (
	valuePrefix   = keyPrefix + "value:"
	counterPrefix = keyPrefix + "counter:"
)

// benchMaker makes the workers of a protocol.
type benchMaker interface {
	open(ctx context.Context, caller int) (load.Worker, error)
	// close gives back what the workers share.
	close()
}

// maker makes what makes workers, once there are nodes to talk to.
func (b *bench) maker(ctx context.Context) (benchMaker, error) {
	if b.proto.value == protoHTTP {
		return b.httpMaker(ctx)
	}
	m, err := b.respMaker(ctx)
	if err != nil {
		return nil, err
	}
	if b.proto.value == protoGo {
		return b.goMaker(m.dialler)
	}
	return m, nil
}

// chooser chooses the calls of one client. Its random numbers cost two
// nanoseconds each.
type chooser struct {
	random   *rand.Rand
	mix      mix
	total    uint64
	keySpace uint64
}

func (b *bench) chooser(caller int) *chooser {
	return &chooser{
		random: rand.New(rand.NewPCG(b.seed, uint64(caller))),
		mix:    b.mix, total: b.mix.total(), keySpace: b.keySpace,
	}
}

// next is the next call, and the number in it.
func (c *chooser) next() (what *task, n uint64) {
	what = c.mix[0].task
	if len(c.mix) > 1 {
		what = c.mix.at(c.random.Uint64N(c.total))
	}
	return what, c.random.Uint64N(c.keySpace)
}

// value is what is put under a key: letters, which are the same in every
// protocol, and no integer in any.
func (b *bench) value() string {
	value := make([]byte, b.valueSize)
	for i := range value {
		value[i] = 'a' + byte(i%26)
	}
	return string(value)
}
