package quorate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
)

const second = time.Second

// Lease stores a key for some seconds.
type Lease struct {
	Key     string
	Seconds int64
}

func (l Lease) Apply(tx *quorate.Tx) (bool, error) {
	tx.SetUntil([]byte(l.Key), []byte("held"), tx.Now().Add(time.Duration(l.Seconds)*second))
	return true, nil
}

// Renew makes a key stay for some seconds more, or for good.
type Renew struct {
	Key     string
	Seconds int64
}

func (r Renew) Apply(tx *quorate.Tx) (bool, error) {
	if r.Seconds == 0 {
		return tx.SetEnd([]byte(r.Key), time.Time{}), nil
	}
	return tx.SetEnd([]byte(r.Key), tx.Now().Add(time.Duration(r.Seconds)*second)), nil
}

// Rest is how many seconds a key stays: 0 for good, -1 if it is not there.
type Rest struct{ Key string }

func (r Rest) Read(view *quorate.View) (int64, error) {
	if _, found := view.Get([]byte(r.Key)); !found {
		return -1, nil
	}
	end, ends := view.End([]byte(r.Key))
	if !ends {
		return 0, nil
	}
	return int64(end.Sub(view.Clock()) / second), nil
}

// Keys is the keys that are there.
type Keys struct{}

func (Keys) Read(view *quorate.View) (keys []string, err error) {
	for key := range view.Scan(nil, nil) {
		keys = append(keys, string(key))
	}
	return keys, nil
}

var leases = quorate.Define("leases", quorate.Write[Lease]("LEASE"), quorate.Write[Renew]("RENEW"), quorate.Read[Rest]("REST"), quorate.Read[Keys]("KEYS"))

func TestWhatHasEndedIsNotSeen(t *testing.T) {
	on := memory.New(leases)
	step := func(want string, calls ...any) {
		t.Helper()
		var got []string
		for _, c := range calls {
			call, err := quorate.NewCall(c)
			if err != nil {
				t.Fatal(err)
			}
			reply := on.Execute(t.Context(), []quorate.Call{call})[0]
			got = append(got, fmt.Sprint(reply.Value, errText(reply.Err)))
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("got %s, want %s", text, want)
		}
	}
	step("true true", Lease{Key: "a", Seconds: 10}, Lease{Key: "b", Seconds: 20})
	step(`10 20 ["a","b"]`, Rest{"a"}, Rest{"b"}, Keys{})
	on.Now = on.Now.Add(10 * second)
	step(`-1 10 ["b"]`, Rest{"a"}, Rest{"b"}, Keys{})
	step("false true", Renew{Key: "a", Seconds: 5}, Renew{Key: "b", Seconds: 5})
	step(`true true ["b","c"]`, Lease{Key: "c", Seconds: 1}, Lease{Key: "d", Seconds: 0}, Keys{})
	on.Now = on.Now.Add(second)
	step(`true ["b"]`, Lease{Key: "a", Seconds: -1}, Keys{})
	step("true", Renew{Key: "b", Seconds: 0})
	on.Now = on.Now.Add(1000 * second)
	step(`0 ["b"]`, Rest{"b"}, Keys{})
	step(`true []`, Renew{Key: "b", Seconds: -1}, Keys{})
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
