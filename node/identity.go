package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/peer"
)

// A data directory holds
//
//	LOCK        held while a node runs
//	node.json   whose directory it is
//	wal/        the log, and the term and vote
//	snapshot    up to where the state was made durable
//	state-N/    the state
//
// It belongs to one node for ever, and is whole or refused: a node that lost
// its log has forgotten what it promised, and would break promises of others.

const (
	lockFile       = "LOCK"
	identityFile   = "node.json"
	incompleteFile = "INCOMPLETE" // is there while the directory is being made
	walDir         = "wal"
	// layoutVersion is that of the directory as described above.
	layoutVersion = 1
	// identityBytesMax bounds node.json.
	identityBytesMax = 64 << 10
)

// identity is what node.json says.
type identity struct {
	Version int         `json:"version"`
	Service string      `json:"service"`
	Node    peer.NodeID `json:"node"`
	Peer    string      `json:"peer"`
	// Cluster is empty until the cluster has formed.
	Cluster string `json:"cluster,omitempty"`
	// Founders is the first members of the cluster. It may be empty where an
	// older program joined it.
	Founders []founder `json:"founders,omitempty"`
}

// founder is one of the first members of a cluster.
type founder struct {
	Node peer.NodeID `json:"node"`
	Peer string      `json:"peer"`
}

// directory is a locked data directory.
type directory struct {
	fs   vfs.FS
	path string
	lock io.Closer
	// fresh says that the directory is new: it must be filled, and then
	// completed.
	fresh bool
}

// openDirectory locks the data directory of a node, or prepares a new one, and
// says whose it is.
func openDirectory(c Config, service string) (*directory, identity, error) {
	d := &directory{fs: c.Host.FS, path: c.Dir}
	if err := d.fs.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, identity{}, fmt.Errorf("make data directory: %w", err)
	}
	var err error
	if d.lock, err = d.fs.Lock(d.join(lockFile)); err != nil {
		return nil, identity{}, fmt.Errorf("data directory %s is in use by another process: %w", c.Dir, err)
	}
	id, err := d.identify(c, service)
	if err != nil {
		return nil, identity{}, errors.Join(fmt.Errorf("data directory %s: %w", c.Dir, err), d.lock.Close())
	}
	return d, id, nil
}

func (d *directory) join(name string) string { return d.fs.PathJoin(d.path, name) }

func (d *directory) close() error { return d.lock.Close() }

func (d *directory) identify(c Config, service string) (identity, error) {
	id, err := d.load()
	if errors.Is(err, os.ErrNotExist) {
		return d.prepare(c, service)
	}
	if err != nil {
		return identity{}, fmt.Errorf("read %s: %w", identityFile, err)
	}
	if err := d.check(id, c, service); err != nil {
		return identity{}, err
	}
	return id, d.unmark()
}

// check refuses a directory that is not this node's, or not whole.
func (d *directory) check(id identity, c Config, service string) error {
	switch {
	case id.Version > layoutVersion:
		return fmt.Errorf("it has layout %d and this program knows %d: run a newer version", id.Version, layoutVersion)
	case id.Service != service:
		return fmt.Errorf("it belongs to the service %q and not to %q", id.Service, service)
	case id.Peer != c.Peer:
		return fmt.Errorf("it belongs to node %s at peer address %s and not to one at %s: give each node its own directory, and the address it had",
			id.Node, id.Peer, c.Peer)
	}
	if id.Cluster != "" {
		if _, err := peer.ParseClusterID(id.Cluster); err != nil {
			return fmt.Errorf("read %s: cluster id: %w", identityFile, err)
		}
	}
	if names, err := d.fs.List(d.join(walDir)); err != nil || len(names) == 0 {
		return fmt.Errorf("its log is missing: node %s has forgotten what it promised; remove the directory and add the node as a new one", id.Node)
	}
	if !d.has("state-") {
		return fmt.Errorf("its state is missing; remove the directory and add node %s as a new one", id.Node)
	}
	return nil
}

// has says that a name with this beginning is in the directory.
func (d *directory) has(prefix string) bool {
	names, _ := d.fs.List(d.path)
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// prepare makes an empty directory for a new node. A directory that was left
// half made is made again: nobody was promised anything.
func (d *directory) prepare(c Config, service string) (identity, error) {
	if !d.has(incompleteFile) {
		for _, name := range []string{walDir, "state-", "snapshot"} {
			if d.has(name) {
				return identity{}, fmt.Errorf("there is %s but no %s: it is half a data directory; restore the missing file, or remove the directory and add the node as a new one", name, identityFile)
			}
		}
	}
	if err := d.anchor(); err != nil {
		return identity{}, err
	}
	if err := d.write(incompleteFile, nil); err != nil {
		return identity{}, err
	}
	for _, name := range []string{walDir, "state-1", "snapshot"} {
		if err := d.fs.RemoveAll(d.join(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return identity{}, err
		}
	}
	d.fresh = true
	return identity{Version: layoutVersion, Service: service, Node: peer.NewNodeID(), Peer: c.Peer}, nil
}

// complete makes a new directory the node's.
func (d *directory) complete(id identity) error {
	if !d.fresh {
		return nil
	}
	if err := d.save(id); err != nil {
		return err
	}
	return d.unmark()
}

// unmark says that the directory is whole. A mark that outlived a crash would
// let a directory that later loses node.json be taken for one half made.
func (d *directory) unmark() error {
	if !d.has(incompleteFile) {
		return nil
	}
	if err := d.fs.Remove(d.join(incompleteFile)); err != nil {
		return err
	}
	return d.sync(d.path)
}

func (d *directory) load() (identity, error) {
	file, err := d.fs.Open(d.join(identityFile))
	if err != nil {
		return identity{}, err
	}
	data, err := io.ReadAll(io.LimitReader(file, identityBytesMax))
	if err = errors.Join(err, file.Close()); err != nil {
		return identity{}, err
	}
	var id identity
	if err := json.Unmarshal(data, &id); err != nil {
		return identity{}, fmt.Errorf("it is damaged: %w", err)
	}
	if id.Version < 1 || id.Node == "" || id.Peer == "" {
		return identity{}, errors.New("it is damaged: it names no node")
	}
	return id, nil
}

// save makes node.json say id, durably and as a whole.
func (d *directory) save(id identity) error {
	data, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	return d.write(identityFile, append(data, '\n'))
}

func (d *directory) write(name string, data []byte) error {
	file, err := d.fs.Create(d.join(name+".new"), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := d.fs.Rename(d.join(name+".new"), d.join(name)); err != nil {
		return err
	}
	return d.sync(d.path)
}

// anchor makes the way to a new directory durable: a directory that a power
// failure takes back as a whole is a node that forgets all it promised. Any
// part of the way may be as new as the directory, made here or by whoever
// started the node. What this user may not even open was there before.
func (d *directory) anchor() error {
	for path := d.path; ; {
		up := d.fs.PathDir(path)
		if up == path {
			return nil
		}
		if err := d.sync(up); errors.Is(err, os.ErrPermission) {
			return nil
		} else if err != nil {
			return fmt.Errorf("make data directory: sync %s: %w", up, err)
		}
		path = up
	}
}

func (d *directory) sync(path string) error {
	dir, err := d.fs.OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
