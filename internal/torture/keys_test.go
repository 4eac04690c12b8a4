package torture

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// keys is the few keys that clients use at the moment. A key that was used
// often, or has several unknown writes, makes way for a new one: the check of a
// key takes time that grows with the first and doubles with each of the second.
type keys struct {
	round string
	// mu guards what follows, and what is in the keys.
	mu   sync.Mutex
	live []*key
	made int
}

type key struct {
	name    string
	uses    int
	unknown int
	// last is what was seen under it, for a CAS to expect.
	last register
}

const (
	keysLive      = 6
	keyUsesMax    = 200
	keyUnknownMax = 4
)

func newKeys(round string) *keys {
	k := &keys{round: round}
	for range keysLive {
		k.live = append(k.live, k.make())
	}
	return k
}

func (k *keys) make() *key {
	k.made++
	return &key{name: fmt.Sprintf("%s-key-%d", k.round, k.made)}
}

// draw picks a key, and says what was seen under it last.
func (k *keys) draw(random *rand.Rand) (*key, register) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := random.IntN(keysLive)
	if k.live[i].uses >= keyUsesMax || k.live[i].unknown >= keyUnknownMax {
		k.live[i] = k.make()
	}
	k.live[i].uses++
	return k.live[i], k.live[i].last
}

// saw notes what an operation says of its key.
func (k *keys) saw(key *key, o *operation) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case o.Outcome == unknown && o.writes():
		key.unknown++
	case !o.Outcome.answered():
	case o.Name == remove:
		key.last = register{}
	default:
		key.last = o.Answer
	}
}

// idBudget bounds the calls with an id. Nodes remember them for an hour, and a
// million at most: more are refused, and a run that goes on for hours would
// hardly test them any more.
type idBudget struct {
	mu    sync.Mutex
	began time.Time
	taken int
}

const (
	// idsAtOnce and idsPerHour stay together below a million in any hour.
	idsAtOnce  = 200_000
	idsPerHour = 600_000
)

// take says whether there is one left.
func (b *idBudget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if float64(b.taken) >= idsAtOnce+idsPerHour*time.Since(b.began).Hours() {
		return false
	}
	b.taken++
	return true
}
