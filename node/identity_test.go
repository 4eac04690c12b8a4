package node_test

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
)

// used is the disk of a node that was started, used and closed.
func used(t *testing.T) *cluster {
	t.Helper()
	c := startCluster(t, 1)
	c.inc(0, "hits")
	c.stop(0)
	return c
}

// refused checks that a node does not start on its disk, and says why.
func refused(t *testing.T, c *cluster, service *quorate.Service, config node.Config, want string) {
	t.Helper()
	n, err := node.Start(service, config)
	if err == nil {
		t.Errorf("it started; want something about %q", want)
		_ = n.Close(t.Context())
		return
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("it says %q, want something about %q", err, want)
	}
}

func TestDataDirectoryOfAnotherIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := used(t)
		refused(t, c, quorate.Define("other"), c.config(0), `belongs to the service "kv"`)
		moved := c.config(0)
		moved.Peer, moved.Join = "elsewhere:1", nil
		refused(t, c, kv.Service, moved, "peer address n0:7302")
	})
}

func TestDataDirectoryInUseIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 1)
		defer c.close()
		refused(t, c, kv.Service, c.config(0), "in use by another process")
	})
}

func TestDataDirectoryThatIsNotWholeIsRefused(t *testing.T) {
	for _, tt := range []struct{ missing, want string }{
		{"data/wal", "its log is missing"},
		{"data/wal/vote", "wal"},
		{"data/state-1", "its state is missing"},
		{"data/node.json", "half a data directory"},
	} {
		t.Run(tt.missing, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := used(t)
				if err := c.disks[0].RemoveAll(tt.missing); err != nil {
					t.Fatal(err)
				}
				refused(t, c, kv.Service, c.config(0), tt.want)
			})
		})
	}
}

func TestDataDirectoryOfANewerVersionIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := used(t)
		text := readFile(t, c.disks[0], "data/node.json")
		writeFile(t, c.disks[0], "data/node.json", strings.Replace(text, `"version": 1`, `"version": 2`, 1))
		refused(t, c, kv.Service, c.config(0), "run a newer version")
		writeFile(t, c.disks[0], "data/node.json", text[:len(text)/2])
		refused(t, c, kv.Service, c.config(0), "damaged")
	})
}

func TestDataDirectoryLeftHalfMadeIsMadeAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		// A crash before the directory was the node's: everything is there but
		// node.json, and the mark that says so.
		c := used(t)
		if err := c.disks[0].Remove("data/node.json"); err != nil {
			t.Fatal(err)
		}
		writeFile(t, c.disks[0], "data/INCOMPLETE", "")
		c.start(0)
		c.ready()
		defer c.close()
		if got := c.read(0, "hits"); got != 0 {
			t.Errorf("the new node holds %d", got)
		}
	})
}

func TestClusterThatDoesNotKnowTheNodeStopsIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		defer c.close()
		// The directory of one of them is wiped: it is a new node now.
		wiped := c.follower()
		c.stop(wiped)
		c.disks[wiped] = vfs.NewMem()
		c.start(wiped)
		stopped(t, c.nodes[wiped], "does not know this node")
		c.nodes[wiped] = nil
		if got := c.inc(c.leader(), "hits"); got != 1 {
			t.Errorf("the others count %d", got)
		}
	})
}

func TestNodeAmongAnotherClusterStops(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := startCluster(t, 3)
		lost := c.disks[0]
		c.close()
		// At the addresses of the others, and of this one, a second cluster is
		// formed. Then the node of the first comes back.
		c.disks = []vfs.FS{vfs.NewMem(), vfs.NewMem(), vfs.NewMem()}
		for i := range c.nodes {
			c.start(i)
		}
		c.ready()
		c.stop(0)
		c.disks[0] = lost
		c.start(0)
		stopped(t, c.nodes[0], "is in the cluster")
		c.nodes[0] = nil
		c.close()
	})
}

func TestCopyOfADataDirectoryIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.start(0) // alone: the cluster cannot form, but the node has its id
		text := readFile(t, c.disks[0], "data/node.json")
		c.start(1)
		c.stop(1)
		writeFile(t, c.disks[1], "data/node.json", strings.Replace(text, addr(0), addr(1), 1))
		c.start(1)
		// Neither can know which of them is the copy: who asks first stops, and the
		// other may have asked too, or find nobody any more.
		first, other := c.nodes[1], c.nodes[0]
		select {
		case <-first.Done():
		case <-other.Done():
			first, other = other, first
		case <-time.After(time.Minute):
		}
		stopped(t, first, "is a copy")
		_ = other.Close(t.Context())
	})
}

func TestListsThatDifferFormNoCluster(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.change = func(i int, config *node.Config) {
			if i == 2 {
				config.Join = []string{addr(1), addr(2)}
			}
		}
		for i := range c.nodes {
			c.start(i)
		}
		time.Sleep(time.Minute)
		for i, n := range c.nodes {
			if s := n.Status(t.Context()); s.Role != node.Forming || s.Cluster != "" {
				t.Errorf("node %d is in cluster %q as %s", i, s.Cluster, s.Role)
			}
		}
		c.stop(2)
		c.change = nil
		c.start(2)
		c.ready()
		c.inc(0, "hits")
		c.close()
	})
}

func TestClusterFormsWhateverTheOrderAndTheRestarts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		c := newCluster(t, 3)
		c.start(2)
		time.Sleep(3 * time.Second)
		c.start(1)
		time.Sleep(3 * time.Second)
		c.stop(2)
		c.start(0)
		time.Sleep(3 * time.Second)
		c.start(2)
		c.ready()
		c.inc(2, "hits")
		clusters := make(map[string]bool)
		for _, n := range c.nodes {
			clusters[n.Status(t.Context()).Cluster] = true
		}
		if len(clusters) != 1 {
			t.Errorf("there are the clusters %v", clusters)
		}
		c.close()
	})
}

// stopped waits until a node has stopped by itself, and checks what it says.
func stopped(t *testing.T, n *node.Node, want string) {
	t.Helper()
	select {
	case <-n.Done():
	case <-time.After(time.Minute):
		t.Fatal("the node goes on")
	}
	if err := n.Err(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("it says %v, want something about %q", err, want)
	}
}

func readFile(t *testing.T, fs vfs.FS, name string) string {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func writeFile(t *testing.T, fs vfs.FS, name, text string) {
	t.Helper()
	if err := fs.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLossOfAnyMemberRightAfterFormingIsTheLossOfOne(t *testing.T) {
	for lost := range 3 {
		t.Run(host(lost), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				c := newCluster(t, 3)
				defer c.close()
				// Nobody is elected while the cluster forms.
				c.change = func(_ int, config *node.Config) { config.ElectionTimeout = 5 * time.Second }
				for i := range c.nodes {
					c.start(i)
				}
				for i := range c.nodes {
					for c.nodes[i].Status(t.Context()).Role == node.Forming {
						time.Sleep(10 * time.Millisecond)
					}
				}
				c.stop(lost)
				c.disks[lost] = vfs.NewMem()
				for i := range c.nodes {
					if i != lost {
						c.stop(i)
						c.start(i)
					}
				}
				c.ready()
				if got := c.inc((lost+1)%3, "hits"); got != 1 {
					t.Errorf("the first increment answers %d", got)
				}
			})
		})
	}
}
