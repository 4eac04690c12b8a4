package node_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
	"github.com/quorate/quorate/values"
)

func TestMarkOfAHalfMadeDirectoryDoesNotOutliveTheMaking(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		// A crash after the directory was the node's and before the mark was
		// removed: the node goes on. Then node.json is lost.
		c := used(t)
		writeFile(t, c.disks[0], "data/INCOMPLETE", "")
		c.start(0)
		c.ready()
		if got := c.read(0, "hits"); got != 1 {
			t.Errorf("the node holds %d", got)
		}
		c.stop(0)
		if err := c.disks[0].Remove("data/node.json"); err != nil {
			t.Fatal(err)
		}
		refused(t, c, kv.Service, c.config(0), "half a data directory")
	})
}

// A Pebble whose disk fails leaves goroutines behind, which no bubble may
// hold: this runs on the time of the machine.
func TestDiskThatFailsWhileANodeStartsStopsIt(t *testing.T) {
	for _, again := range []bool{false, true} {
		for at := int64(0); at < 60; at += 5 {
			t.Run(fmt.Sprintf("again %v, write %d", again, at), func(t *testing.T) { failWhileStarting(t, again, at) })
		}
	}
}

// failWhileStarting lets the disk of a node fail for ever from one of its
// first writes on. Start or Done must tell. Its process ends; with a disk that works the next one must start again.
func failWhileStarting(t *testing.T, again bool, at int64) {
	c := newCluster(t, 1)
	disk := vfs.NewCrashableMem()
	c.disks[0] = disk
	if again {
		c.start(0)
		c.ready()
		c.inc(0, "hits")
		c.stop(0)
	}
	var writes atomic.Int64
	c.disks[0] = errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && writes.Add(1) > at {
			return errDisk
		}
		return nil
	}))
	if n, err := node.Start(kv.Service, c.config(0)); err == nil {
		for err == nil {
			before := writes.Load() > at
			_, err = quorate.Do(t.Context(), n, kv.Put{Key: "k", Value: values.Int(1)})
			if err == nil && before {
				t.Fatal("a node whose disk is gone acknowledged a write")
			}
		}
		stopped(t, n, errDisk.Error())
	} else if !strings.Contains(err.Error(), errDisk.Error()) {
		t.Errorf("Start says %v", err)
	}
	c.disks[0] = disk.CrashClone(vfs.CrashCloneCfg{})
	c.start(0)
	c.ready()
	defer c.close()
	if got, want := c.read(0, "hits"), map[bool]int64{true: 1}[again]; got != want {
		t.Errorf("with its disk back the node holds %d, not %d", got, want)
	}
}

var errDisk = errors.New("the disk is gone")

func TestAddressThatCannotBeListenedOnIsNotKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 1)
		listener, err := c.net.Listen("n0:1")
		if err != nil {
			t.Fatal(err)
		}
		taken := c.config(0)
		taken.Peer = "n0:1"
		refused(t, c, kv.Service, taken, "open peer port")
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		// On the same directory, with the address that was meant.
		c.start(0)
		c.ready()
		c.inc(0, "hits")
		c.close()
	})
}
