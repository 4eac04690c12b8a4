package sim_test

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
)

// service is the kv service, and leases, on machines that are busy at times: a command on a
// key that begins with slowKeys may take a while, another one on each node.
var service = quorate.Define("kv", append(shared, quorate.Write[notedInc]("INC"), quorate.Write[heldIn]("HELDIN"))...)

// olderService is the version before it, with an operation and an argument less.
var olderService = quorate.Define("kv", append(shared, quorate.Write[inc]("INC"))...)

// shared is the operations that are the same in both.
var shared = []quorate.Operation{
	quorate.Write[put]("PUT"),
	quorate.Read[kv.Get]("GET"),
	quorate.Write[del]("DELETE"),
	quorate.Write[cas]("CAS"),
	quorate.Write[hold]("HOLD"),
	quorate.Read[held]("HELD"),
}

// slowKeys is what a key begins with whose commands may take a while.
const slowKeys = "slow."

// busyMax is how long the machine may be busy with a command: less than an
// election timeout, several times what a message takes.
const busyMax = 30 * time.Millisecond

// work takes the time that a command takes on this node: the global generator
// says, because no two nodes must agree.
func work(key kv.Key) {
	if strings.HasPrefix(string(key), slowKeys) && rand.IntN(4) == 0 {
		time.Sleep(time.Duration(rand.Int64N(int64(busyMax))))
	}
}

type (
	put kv.Put
	del kv.Delete
	inc kv.Inc
	cas kv.Cas
)

func (c put) Check() error { return kv.Put(c).Check() }
func (c del) Check() error { return kv.Delete(c).Check() }
func (c inc) Check() error { return kv.Inc(c).Check() }
func (c cas) Check() error { return kv.Cas(c).Check() }

func (c put) Apply(tx *quorate.Tx) (quorate.Value, error) {
	work(c.Key)
	return kv.Put(c).Apply(tx)
}

func (c del) Apply(tx *quorate.Tx) (bool, error) {
	work(c.Key)
	return kv.Delete(c).Apply(tx)
}

func (c inc) Apply(tx *quorate.Tx) (int64, error) {
	work(c.Key)
	return kv.Inc(c).Apply(tx)
}

// notedInc is inc with a note, which means nothing.
type notedInc struct {
	Key  kv.Key
	By   int64 `json:"value" default:"1"`
	Text *bool
	Note *string
}

func (c notedInc) plain() inc { return inc{c.Key, c.By, c.Text} }

func (c notedInc) Check() error { return c.plain().Check() }

func (c notedInc) Apply(tx *quorate.Tx) (int64, error) { return c.plain().Apply(tx) }

func (c cas) Apply(tx *quorate.Tx) (quorate.Value, error) {
	work(c.Key)
	return kv.Cas(c).Apply(tx)
}
