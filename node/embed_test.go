package node_test

import (
	"flag"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/peer/memnet"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
)

// Visit counts a visitor, in a service that is not kv.
type Visit struct{ Page string }

// Apply implements quorate.Command.
func (v Visit) Apply(tx *quorate.Tx) (uint64, error) {
	key := []byte(v.Page)
	seen, _ := tx.Get(key)
	tx.Set(key, append(seen[:len(seen):len(seen)], 'x'))
	return uint64(len(seen) + 1), nil
}

var visits = quorate.Define("visits", quorate.Write[Visit]("VISIT"))

func TestNodeOpenedAndClosedAThousandTimesLeavesNothing(t *testing.T) {
	const times, settled = 1000, 200
	var before uint64
	for i := range times {
		// The bubble fails if a goroutine is left in it.
		synctest.Test(t, func(t *testing.T) {
			network := memnet.New()
			n, err := node.Open(t.Context(), visits, node.Config{
				Dir: "data", Peer: "n0:7302",
				Host: node.Host{FS: vfs.NewMem(), Listen: network.Listen, Dial: network.Host("n0").Dial, SegmentBytes: 128 << 10},
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := quorate.Do(t.Context(), n, Visit{Page: "home"}); err != nil {
				t.Fatal(err)
			}
			if err := n.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
		if i == settled {
			before = live()
		}
	}
	const perNodeMax = 4 << 10
	if after := live(); after > before && (after-before)/(times-settled) > perNodeMax {
		t.Errorf("each node that was closed leaves %d bytes", (after-before)/(times-settled))
	}
}

// live is how many bytes are reachable.
func live() uint64 {
	runtime.GC()
	runtime.GC() // what a finalizer held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestClosedNodeLeavesNoFileOpen(t *testing.T) {
	const files = "/proc/self/fd"
	if _, err := os.Stat(files); err != nil {
		t.Skip("this system does not list the open files of a process")
	}
	count := func() int {
		entries, err := os.ReadDir(files)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	var before int
	for i := range 6 {
		n := openAlone(t, visits, t.TempDir())
		if _, err := quorate.Do(t.Context(), n, Visit{Page: "home"}); err != nil {
			t.Fatal(err)
		}
		if err := n.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			before = count() // the first of all opens the poller of the runtime
		}
	}
	if after := count(); after > before {
		t.Errorf("%d files are open after a node was closed, and %d after five more", before, after)
	}
}

// openAlone opens a node on the disk and on loopback that is a cluster of its own.
func openAlone(t *testing.T, service *quorate.Service, dir string) *node.Node {
	t.Helper()
	n, err := node.Open(t.Context(), service, node.Config{
		Dir: dir, Peer: freeAddress(t), ElectionTimeout: 50 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNodeAddsNoFlagToTheProgram(t *testing.T) {
	flag.VisitAll(func(f *flag.Flag) {
		if !strings.HasPrefix(f.Name, "test.") {
			t.Errorf("a program that embeds a node has a flag -%s: %s", f.Name, f.Usage)
		}
	})
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nobody was accepted
	return l.Addr().String()
}

func TestNodesOfSeveralServicesLiveInOneProcess(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		network := memnet.New()
		disk := vfs.NewMem()
		open := func(service *quorate.Service, name string) *node.Node {
			n, err := node.Open(t.Context(), service, node.Config{
				Dir: name, Peer: name + ":7302",
				Host: node.Host{FS: disk, Listen: network.Listen, Dial: network.Host(name).Dial, SegmentBytes: 128 << 10},
			})
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		pages, others, keys := open(visits, "pages"), open(visits, "others"), open(kv.Service, "keys")
		for range 3 {
			if _, err := quorate.Do(t.Context(), pages, Visit{Page: "home"}); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := quorate.Do(t.Context(), others, Visit{Page: "home"}); err != nil || n != 1 {
			t.Errorf("a node of the same service counts %d, %v", n, err)
		}
		if _, err := quorate.Ask(t.Context(), keys, kv.Get{Key: "home"}); quorate.CodeOf(err) != quorate.NotFound {
			t.Errorf("a node of another service finds a page: %v", err)
		}
		if _, err := quorate.Do(t.Context(), keys, Visit{Page: "home"}); quorate.CodeOf(err) != quorate.UnknownOperation {
			t.Errorf("a node runs a command of another service: %v", err)
		}
		for _, n := range []*node.Node{pages, others, keys} {
			if err := n.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}
