package differ

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// named is every command that Quorate has beside those of its own; those with
// subcommands by each of them.
const named = `
GET SET SETNX SETEX PSETEX GETSET GETDEL GETEX MGET MSET MSETNX APPEND STRLEN GETRANGE SETRANGE INCR INCRBY DECR DECRBY
INCRBYFLOAT DEL UNLINK EXISTS TYPE EXPIRE PEXPIRE EXPIREAT PEXPIREAT TTL PTTL EXPIRETIME PEXPIRETIME PERSIST KEYS SCAN
RANDOMKEY DBSIZE RENAME RENAMENX COPY TOUCH FLUSHALL FLUSHDB MULTI EXEC DISCARD WATCH UNWATCH PING ECHO TIME SELECT QUIT
RESET HELLO AUTH INFO WAIT
CLIENT_ID CLIENT_INFO CLIENT_LIST CLIENT_SETNAME CLIENT_GETNAME CLIENT_SETINFO CLIENT_NO-EVICT CLIENT_REPLY CLIENT_KILL
COMMAND_COUNT COMMAND_DOCS COMMAND_INFO COMMAND_LIST COMMAND_GETKEYS CONFIG_GET OBJECT_ENCODING`

func TestEveryCommandAndOptionIsDrawn(t *testing.T) {
	drawn := make(map[string]int)
	for seed := range uint64(2000) {
		for _, step := range newSequence(seed).steps {
			for _, c := range step.calls {
				drawn[c.name()]++
				for i := 1; i < len(c.args); i++ {
					drawn[c.name()+"_"+strings.ToUpper(c.args[i])]++
				}
			}
		}
	}
	options := map[string]string{
		"SET": "EX PX EXAT PXAT NX XX GET KEEPTTL", "GETEX": "EX PX EXAT PXAT PERSIST", "EXPIRE": "NX XX GT LT", "PEXPIREAT": "NX XX GT LT",
		"SCAN": "MATCH COUNT TYPE", "COPY": "DB REPLACE", "FLUSHALL": "ASYNC SYNC", "FLUSHDB": "ASYNC SYNC",
	}
	wanted := strings.Fields(named)
	for name, list := range options {
		for option := range strings.FieldsSeq(list) {
			wanted = append(wanted, name+"_"+option)
		}
	}
	for _, name := range wanted {
		if drawn[name] < 5 {
			t.Errorf("%s was drawn %d times, want 5 at least", name, drawn[name])
		}
	}
}

func TestASeedDrawsTheSameSequenceAgain(t *testing.T) {
	for seed := range uint64(50) {
		if a, b := newSequence(seed), newSequence(seed); !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d draws\n%vand then\n%v", seed, a, b)
		}
	}
}

func TestShrinkLeavesWhatIsNeeded(t *testing.T) {
	s := newSequence(1)
	needed := []string{"GET first", "GET second"}
	for i, words := range needed {
		at := (i + 1) * len(s.steps) / 3
		s.steps = slices.Insert(s.steps, at, step{calls: []call{{args: strings.Fields("PING")}, {args: strings.Fields(words)}}})
	}
	// The difference shows at the second of the two, if the first was there.
	try := func(s sequence) *difference {
		seen := false
		for i, step := range s.steps {
			for _, c := range step.calls {
				if seen && c.String() == needed[1] {
					return &difference{step: i, call: c}
				}
				seen = seen || c.String() == needed[0]
			}
		}
		return nil
	}
	shorter, found := shrink(s, try(s), try)
	if shorter.calls() != len(needed) || found == nil {
		t.Errorf("from %d calls there are left:\n%v", s.calls(), shorter)
	}
}
