package quorate_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/peer/memnet"
	noderoom "github.com/quorate/quorate/node"
)

// The state of a node keeps what tables write, in their order, also over a
// restart.
var (
	stays  = quorate.NewTable[stayKey, stay]("stays")
	nights = quorate.NewCounters("nights")
)

type (
	stayKey struct {
		Hotel string
		From  time.Time
	}
	stay struct {
		Guest  string
		Nights int64
	}
)

// Book books a stay, for a while if it is only held.
type Book struct {
	Hotel, Guest string
	Day, Nights  int64
	Held         bool
}

func dayOf(day int64) time.Time { return time.Unix(0, 0).UTC().AddDate(0, 0, int(day)) }

// Apply implements quorate.Command.
func (b Book) Apply(tx *quorate.Tx) (int64, error) {
	key, row := stayKey{b.Hotel, dayOf(b.Day)}, stay{b.Guest, b.Nights}
	if b.Held {
		stays.PutUntil(tx, key, row, tx.Now().Add(time.Minute))
	} else {
		stays.Put(tx, key, row)
	}
	return nights.Add(tx, b.Hotel, b.Nights)
}

// Stays is the guests of a hotel from a day on.
type Stays struct {
	Hotel string
	Day   int64
}

// Read implements quorate.Query.
func (s Stays) Read(view *quorate.View) ([]string, error) {
	list := []string{fmt.Sprint(nights.Value(view, s.Hotel))}
	for key, row := range stays.Range(view, quorate.Leading(stayKey{Hotel: s.Hotel}, 1), quorate.From(stayKey{s.Hotel, dayOf(s.Day)})) {
		list = append(list, fmt.Sprint(row.Guest, key.From.Unix()/86400))
	}
	return list, nil
}

func TestTablesStandInTheStateOfANode(t *testing.T) {
	service := quorate.Define("hotels", quorate.Write[Book]("BOOK"), quorate.Read[Stays]("STAYS"))
	synctest.Test(t, func(t *testing.T) {
		network, disk := memnet.New(), vfs.NewMem()
		open := func() *noderoom.Node {
			n, err := noderoom.Open(t.Context(), service, noderoom.Config{Dir: "data", Peer: "n:1", Host: noderoom.Host{
				FS: disk, Listen: network.Listen, Dial: network.Host("n").Dial, SegmentBytes: 128 << 10,
			}})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		mustFind := func(n *noderoom.Node, want string) {
			t.Helper()
			got, err := quorate.Ask(t.Context(), n, Stays{"sea", -1})
			if err != nil || strings.Join(got, " ") != want {
				t.Errorf("got %v, %v, want %s", got, err, want)
			}
		}
		n := open()
		for _, b := range []Book{
			{"sea", "eve", 7, 2, false}, {"sea", "ann", -1, 1, false}, {"sea", "bob", 0, 3, true},
			{"se", "no", 0, 1, false}, {"sea\x00", "no", 0, 1, false}, {"sea", "old", -300, 1, false},
		} {
			if _, err := quorate.Do(t.Context(), n, b); err != nil {
				t.Fatal(err)
			}
		}
		mustFind(n, "7 ann-1 bob0 eve7")
		time.Sleep(2 * time.Minute)
		mustFind(n, "7 ann-1 eve7")
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		n = open()
		mustFind(n, "7 ann-1 eve7")
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}
