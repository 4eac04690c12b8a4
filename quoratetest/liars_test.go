package quoratetest_test

import (
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/quorate/quorate"
)

// Commands that are not deterministic, each in another way.
type (
	readsClock   struct{ Name string }
	readsSeconds struct{ Name string }
	writesMap    struct{ Name string }
	returnsMap   struct{ Name string }
	counts       struct{ Name string }
	draws        struct{ Name string }
	deletesAny   struct{ Name string }
	endsAny      struct{ Name string }
	failsAny     struct{ Name string }
	panicsAny    struct{ Name string }
	spoils       struct{ Name string }
)

// counted is the variable of a package.
var counted atomic.Int64

func (c readsClock) Apply(tx *quorate.Tx) (int64, error) {
	tx.Set([]byte("seen/"+c.Name), strconv.AppendInt(nil, time.Now().UnixNano(), 10))
	return 0, nil
}

func (c readsSeconds) Apply(tx *quorate.Tx) (int64, error) {
	tx.Set([]byte("seen/"+c.Name), strconv.AppendInt(nil, time.Now().Unix(), 10))
	return 0, nil
}

func (c writesMap) Apply(tx *quorate.Tx) (int64, error) {
	for name := range map[string]bool{"one": true, "two": true} {
		tx.Set([]byte(name), []byte(c.Name))
	}
	return 0, nil
}

func (c returnsMap) Apply(tx *quorate.Tx) (string, error) {
	for name := range map[string]bool{"one": true, "two": true} {
		return name, nil
	}
	return "", nil
}

func (c counts) Apply(tx *quorate.Tx) (int64, error) {
	tx.Set([]byte("count/"+c.Name), strconv.AppendInt(nil, counted.Add(1), 10))
	return 0, nil
}

func (c draws) Apply(*quorate.Tx) (int64, error) { return rand.Int64(), nil }

func (c deletesAny) Apply(tx *quorate.Tx) (int64, error) {
	tx.Delete([]byte("a" + strconv.FormatInt(counted.Add(1), 10)))
	return 0, nil
}

func (c endsAny) Apply(tx *quorate.Tx) (int64, error) {
	tx.SetUntil([]byte("lease/"+c.Name), nil, tx.Now().Add(time.Hour+time.Duration(counted.Add(1))))
	return 0, nil
}

func (c failsAny) Apply(*quorate.Tx) (int64, error) {
	return 0, quorate.Errorf("refused", "number %d", counted.Add(1))
}

func (c panicsAny) Apply(*quorate.Tx) (int64, error) {
	if counted.Add(1)%2 == 0 {
		panic("every other time")
	}
	return 0, nil
}

// spoils changes what it is given of the state.
func (c spoils) Apply(tx *quorate.Tx) (int64, error) {
	if value, found := tx.Get([]byte("spoiled")); found {
		value[0]++
		return int64(value[0]), nil
	}
	tx.Set([]byte("spoiled"), []byte{1})
	return 0, nil
}

var liars = quorate.Define("liars",
	quorate.Write[readsClock]("CLOCK"), quorate.Write[readsSeconds]("SECONDS"),
	quorate.Write[writesMap]("WRITEMAP"), quorate.Write[returnsMap]("RETURNMAP"),
	quorate.Write[counts]("COUNT"), quorate.Write[draws]("DRAW"),
	quorate.Write[deletesAny]("DELETE"), quorate.Write[endsAny]("END"),
	quorate.Write[failsAny]("FAIL"), quorate.Write[panicsAny]("PANIC"),
	quorate.Write[spoils]("SPOIL"),
)

// lies is what each of them does, as it must be told.
var lies = []struct {
	name string
	call any
	want string
}{
	{"the clock", readsClock{"a"}, `command CLOCK "a" is not deterministic: on the same state it wrote key "seen/a" with "`},
	{"the order of a map in writes", writesMap{"a"}, `command WRITEMAP "a" is not deterministic: on the same state it wrote key "`},
	{"the order of a map in the result", returnsMap{"a"}, `command RETURNMAP "a" is not deterministic: on the same state it returned "`},
	{"a variable of the package", counts{"a"}, `command COUNT "a" is not deterministic: on the same state it wrote key "count/a" with "`},
	{"random numbers", draws{"a"}, `command DRAW "a" is not deterministic: on the same state it returned `},
	{"another key deleted", deletesAny{"a"}, `command DELETE "a" is not deterministic: on the same state it deleted key "a`},
	{"another end", endsAny{"a"}, `command END "a" is not deterministic: on the same state it made key "lease/a" end at 20`},
	{"another error", failsAny{"a"}, `command FAIL "a" is not deterministic: on the same state it failed with refused, "number `},
	{"a panic now and then", panicsAny{"a"}, `command PANIC "a" is not deterministic: on the same state it `},
	{"a value of the state changed in place", spoils{"a"}, `command SPOIL changed the bytes that it was given of key "spoiled"`},
}
