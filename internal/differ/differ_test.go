package differ

import (
	"errors"
	"flag"
	"math/rand/v2"
	"testing"
)

var (
	redisFlag    = flag.String("redis", "redis-server", "the redis-server 7.0 to compare with")
	commandsFlag = flag.Int("commands", 2000, "commands to send, at least")
	failuresFlag = flag.Int("failures", 1, "sequences to show that differ, at most")
	seedFlag     = flag.Uint64("seed", 0, "of the first sequence; the next has the next one; 0 draws one")
)

// firstSeed is the seed of the first sequence.
func firstSeed() uint64 {
	if *seedFlag != 0 {
		return *seedFlag
	}
	return rand.Uint64()
}

// compareServers runs sequences until so many commands were sent. It fails the
// test with the shortest sequence that it finds for a difference.
func compareServers(t *testing.T, redis, ours server, r *rules) {
	t.Helper()
	seed, sent, void, shown := firstSeed(), 0, 0, 0
	for ; sent < *commandsFlag && shown < *failuresFlag; seed++ {
		s := newSequence(seed)
		sent += s.calls()
		found, err := run(redis, ours, s, r)
		if errors.Is(err, errVoid) {
			void++
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if found == nil {
			continue
		}
		shown++
		shorter, found := shrink(s, found, again(redis, ours, r))
		t.Errorf("seed %d: the answers differ; again: go test ./internal/differ -run '^%s$' -seed=%d -commands=1\n%vshortened from %d calls to\n%v",
			seed, t.Name(), seed, found, s.calls(), shorter)
	}
	t.Logf("%d commands, last seed %d, %d sequences void", sent, seed-1, void)
}

func TestRedisIsEqualToItself(t *testing.T) {
	compareServers(t, startRedis(t), startRedis(t), newRules(likenesses))
}
