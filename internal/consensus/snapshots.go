package consensus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"log/slog"
	"os"
	"strconv"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/hashicorp/raft"

	"github.com/quorate/quorate/internal/machine"
	"github.com/quorate/quorate/internal/store"
)

// A snapshot is not a copy. The state is on disk already: to take a snapshot
// is to flush it and then to note up to where it now surely reflects the log.
// The note is the file "snapshot", numbers little-endian:
//
//	"QRTNOTE" u8 version | group u64 | index u64 | term u64 | floor u64 |
//	generation u64 | configuration index u64 | u32 len, configuration | crc32
//
// index and term are where raft's snapshot stands. floor is the index that the
// state had reached when it was flushed; between the two stand only entries
// that do not reach the state. generation names the directory of the state: a
// snapshot that comes from another node is a new directory, and the note,
// renamed into its place, is what makes it the state.
//
// The stream that another node gets is made when it is sent.

const (
	noteMagic   = "QRTNOTE"
	noteVersion = 1
	noteFile    = "snapshot"
	noteHead    = len(noteMagic) + 1 + 6*8 + 4
	// noteBytesMax bounds a note: a configuration of nine members takes less
	// than 4 KiB.
	noteBytesMax = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// note is what is known of the newest snapshot.
type note struct {
	index, term        uint64
	floor              uint64
	generation         uint64
	configurationIndex uint64
	configuration      []byte
}

func (n *note) append(dst []byte, group uint64) []byte {
	dst = append(append(dst, noteMagic...), noteVersion)
	for _, u := range [...]uint64{group, n.index, n.term, n.floor, n.generation, n.configurationIndex} {
		dst = binary.LittleEndian.AppendUint64(dst, u)
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(n.configuration)))
	dst = append(dst, n.configuration...)
	return binary.LittleEndian.AppendUint32(dst, crc32.Checksum(dst, castagnoli))
}

func readNote(data []byte, group uint64) (*note, error) {
	if len(data) < noteHead+4 || string(data[:len(noteMagic)]) != noteMagic {
		return nil, errors.New("it is not the note of a snapshot")
	}
	if data[len(noteMagic)] != noteVersion {
		return nil, errors.New("a newer version has written it")
	}
	body, sum := data[:len(data)-4], binary.LittleEndian.Uint32(data[len(data)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, errors.New("its checksum does not match")
	}
	u := func(i int) uint64 { return binary.LittleEndian.Uint64(body[len(noteMagic)+1+8*i:]) }
	if u(0) != group {
		return nil, fmt.Errorf("it is of group %d and not of %d", u(0), group)
	}
	configuration := body[noteHead:]
	if int(binary.LittleEndian.Uint32(body[noteHead-4:])) != len(configuration) {
		return nil, errors.New("its length does not match")
	}
	return &note{index: u(1), term: u(2), floor: u(3), generation: u(4),
		configurationIndex: u(5), configuration: configuration}, nil
}

// StateOptions says where the state of a node lies.
type StateOptions struct {
	FS    vfs.FS
	Dir   string // holds the note and the directories of the state
	Group uint64
	Log   *slog.Logger
	// Failed is called when the disk fails under the state.
	Failed func(error)
	// LayerBytes is that of store.Options.
	LayerBytes int
}

// State is where the state of a node lies on disk, and what is known of its
// newest snapshot. It is raft's snapshot store.
type State struct {
	options StateOptions
	store   *store.Store // as it was opened
	machine *machine.Machine
	// disk is held by who flushes, notes or replaces the state, and by who
	// begins to read it for another node.
	disk token

	// mu guards what follows. It is not held while the disk works.
	mu sync.Mutex
	// newest is nil before the first snapshot. Its index never goes back.
	newest *note
	// staged is a snapshot that came from another node and that the machine
	// has not taken over yet.
	staged *sink
	// sources is what other nodes are reading.
	sources map[*source]struct{}
}

// token is a lock whose holder may wait for the disk. It is a channel because
// whoever waits for a mutex holds up the time of a test.
type token chan struct{}

func (t token) take() { t <- struct{}{} }
func (t token) put()  { <-t }

// OpenState opens the state that the newest note names.
func OpenState(o StateOptions) (*State, error) {
	s := &State{options: o, disk: make(token, 1), sources: make(map[*source]struct{})}
	var err error
	if s.newest, err = s.load(); err != nil {
		return nil, fmt.Errorf("read %s: %w; make the node anew from an empty directory", s.path(noteFile), err)
	}
	if err := s.removeOthers(s.generation()); err != nil {
		return nil, err
	}
	if s.store, err = s.open(s.generation()); err != nil {
		return nil, err
	}
	if s.newest != nil && s.store.Meta().Index < s.newest.floor {
		return nil, errors.Join(fmt.Errorf("the state in %s reflects the log up to %d, but a snapshot was taken at %d: files are missing; make the node anew from an empty directory",
			o.Dir, s.store.Meta().Index, s.newest.floor), s.store.Close())
	}
	return s, nil
}

// Store is the state as it was opened, for the machine.
func (s *State) Store() *store.Store { return s.store }

func (s *State) path(name string) string { return s.options.FS.PathJoin(s.options.Dir, name) }

// statePrefix begins the names of the directories of the state.
const statePrefix = "state-"

func (s *State) stateDir(generation uint64) string {
	return s.path(statePrefix + strconv.FormatUint(generation, 10))
}

func (s *State) open(generation uint64) (*store.Store, error) {
	return store.Open(s.storeOptions(generation))
}

func (s *State) storeOptions(generation uint64) store.Options {
	return store.Options{FS: s.options.FS, Dir: s.stateDir(generation), Log: s.options.Log, Failed: s.options.Failed, LayerBytes: s.options.LayerBytes}
}

// generation is that of the state in use. The caller holds mu.
func (s *State) generation() uint64 {
	if s.newest == nil {
		return 1
	}
	return s.newest.generation
}

func (s *State) load() (*note, error) {
	file, err := s.options.FS.Open(s.path(noteFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, noteBytesMax))
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	return readNote(data, s.options.Group)
}

// save makes a note the newest, durably. The node stops where it fails: which
// note is on disk is not known then. The caller holds disk.
func (s *State) save(n *note) error {
	if err := s.write(n); err != nil {
		err = fmt.Errorf("note a snapshot: %w", err)
		s.options.Failed(err)
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = n
	return nil
}

// write puts a note in the place of the one before: a new file, synced,
// renamed over the old one, the directory synced.
func (s *State) write(n *note) error {
	fs, temporary := s.options.FS, s.path(noteFile+".new")
	file, err := fs.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(n.append(nil, s.options.Group))
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if err := fs.Rename(temporary, s.path(noteFile)); err != nil {
		return err
	}
	return s.syncDir()
}

func (s *State) syncDir() error {
	dir, err := s.options.FS.OpenDir(s.options.Dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// removeOthers removes the states that no note names: those that were
// replaced, and those that were being received when the node stopped.
func (s *State) removeOthers(generation uint64) error {
	names, err := s.options.FS.List(s.options.Dir)
	if err != nil {
		return err
	}
	keep := statePrefix + strconv.FormatUint(generation, 10)
	for _, name := range names {
		if len(name) <= len(statePrefix) || name[:len(statePrefix)] != statePrefix || name == keep {
			continue
		}
		if err := s.options.FS.RemoveAll(s.path(name)); err != nil {
			return fmt.Errorf("remove an old state: %w", err)
		}
	}
	return nil
}

// remove removes the directory of a state, if it is there.
func (s *State) remove(generation uint64) error {
	err := s.options.FS.RemoveAll(s.stateDir(generation))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// flush makes the state durable as it stands.
func (s *State) flush() error {
	s.disk.take()
	defer s.disk.put()
	return s.machine.Flush()
}

// errStale says that a newer snapshot is there already.
var errStale = errors.New("a newer snapshot is there already")

// Create implements raft.SnapshotStore, for a snapshot of this node and for
// one that comes from another.
func (s *State) Create(_ raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest != nil && index < s.newest.index {
		return nil, errStale
	}
	return &sink{state: s, generation: s.generation(), note: note{
		index: index, term: term,
		configuration: raft.EncodeConfiguration(configuration), configurationIndex: configurationIndex,
	}}, nil
}

// stale says that another snapshot has become the newest since one began. To
// go back to that one would leave a gap between it and the log.
func (s *State) stale(k *sink) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return k.generation != s.generation() || s.newest != nil && k.note.index < s.newest.index
}

// The names of the two snapshots there can be.
const (
	newestID = "newest"
	stagedID = "staged"
)

// index is where the newest snapshot stands, 0 before the first.
func (s *State) index() uint64 {
	index, _ := s.position()
	return index
}

// position is index and term of the newest snapshot, 0 before the first.
func (s *State) position() (index, term uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest == nil {
		return 0, 0
	}
	return s.newest.index, s.newest.term
}

// List implements raft.SnapshotStore.
func (s *State) List() ([]*raft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.newest == nil {
		return nil, nil
	}
	return []*raft.SnapshotMeta{s.newest.meta(newestID)}, nil
}

// meta is a note as raft wants it.
func (n *note) meta(id string) *raft.SnapshotMeta {
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: id, Index: n.index, Term: n.term,
		Configuration: raft.DecodeConfiguration(n.configuration), ConfigurationIndex: n.configurationIndex,
	}
}

// Open implements raft.SnapshotStore. What it returns is the state as it is
// now, which is at or behind the snapshot: the node that gets it passes over
// the entries that it reflects already. A staged snapshot is not read: it is a
// state already.
func (s *State) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.disk.take()
	defer s.disk.put()
	s.mu.Lock()
	newest, staged := s.newest, s.staged
	s.mu.Unlock()
	switch {
	case id == stagedID && staged != nil:
		return staged.note.meta(stagedID), io.NopCloser(bytes.NewReader(nil)), nil
	case id == stagedID || newest == nil:
		return nil, nil, errors.New("there is no snapshot")
	}
	stream, err := s.machine.View().Stream(s.options.Group)
	if err != nil {
		return nil, nil, err
	}
	opened := &source{state: s, busy: make(token, 1), stream: stream}
	s.mu.Lock()
	s.sources[opened] = struct{}{}
	s.mu.Unlock()
	return newest.meta(newestID), opened, nil
}

// endSources ends what other nodes are reading: a state with readers cannot be
// closed. The caller holds disk, so that nobody else begins.
func (s *State) endSources() error {
	s.mu.Lock()
	sources := s.sources
	s.sources = make(map[*source]struct{})
	s.mu.Unlock()
	var err error
	for opened := range sources {
		err = errors.Join(err, opened.end())
	}
	return err
}

// unstage returns the snapshot that waits to be taken over, or nil.
func (s *State) unstage() *sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	staged := s.staged
	s.staged = nil
	return staged
}

// settle drops a snapshot that raft did not hand on before it ended. It was
// not noted, so the leader sends it again.
func (s *State) settle() error {
	if staged := s.unstage(); staged != nil {
		return staged.drop()
	}
	return nil
}

// takeOver notes the snapshot that is staged and gives its state to the
// machine. It returns index and term of the snapshot. It runs on the goroutine
// that applies entries, so that the machine stands still.
func (s *State) takeOver() (index, term uint64, err error) {
	s.disk.take()
	defer s.disk.put()
	staged := s.unstage()
	if staged == nil {
		return 0, 0, errors.New("there is no snapshot to take over")
	}
	if s.stale(staged) {
		return 0, 0, errors.Join(errStale, staged.drop())
	}
	if own := s.machine.Meta().Index; own >= staged.received.Meta().Index {
		err = s.stay(staged, own)
	} else {
		err = s.replace(staged)
	}
	return staged.note.index, staged.note.term, err
}

// stay keeps the state of this node where it reflects as much of the log as
// what came. It only has to be made durable.
func (s *State) stay(staged *sink, own uint64) error {
	if err := s.machine.Flush(); err != nil {
		return errors.Join(err, staged.drop())
	}
	n := staged.note
	n.generation, n.floor = staged.generation, own
	return errors.Join(s.save(&n), staged.drop())
}

// replace makes what came the state and removes the one before.
func (s *State) replace(staged *sink) error {
	n := staged.note
	n.generation, n.floor = staged.generation+1, staged.received.Meta().Index
	if err := s.save(&n); err != nil {
		// Its directory stays, for the note on disk may name it already.
		return errors.Join(err, staged.received.Close())
	}
	return errors.Join(s.endSources(), s.machine.Swap(staged.received), s.removeOthers(n.generation))
}
