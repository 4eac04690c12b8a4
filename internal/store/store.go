// Package store is the state on disk: ordered spaces of keys in Pebble, and
// beside them, in the same atomic batch, up to where they reflect the log. The
// newest writes are in memory, in a layer above Pebble, and go into it many at
// a time: a key that is written again and again goes there once.
//
// It keeps one rule: what it holds is always the effect of the log up to the
// index that it names, no less and no more. That is true of Pebble on its own
// too. It runs without its own log: a crash takes back what is in memory and
// may take back the newest batches, but only a whole tail of them, and the index
// goes back with them; the raft log brings them again. Flush is what makes a
// state durable.
//
// A flipped bit on the disk is an error, or it is in bytes that mean nothing:
// Pebble has a checksum over all that it reads but OPTIONS, which it only
// compares with what this program asks for. A stream has its own checksums, and
// whoever made it is not trusted.
//
// It does not know what a command is.
package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
)

// Space is the first byte of every key: what kind of thing stands there.
type Space byte

// The spaces, in the order in which they stand.
const (
	Agreed     Space = 'a' // one key, which is empty: what all members know
	Data       Space = 'd' // what commands write
	Ends       Space = 'e' // key of Data -> when it ends
	meta       Space = 'm' // where the state stands
	Queue      Space = 'q' // when a key of Data ends, key -> nothing
	Remembered Space = 'r' // call id -> fingerprint and answer
	Ages       Space = 's' // time, index, position -> call id
	Sessions   Space = 't' // session, number -> answer, or where it stands
)

// spaces is all of them but meta.
var spaces = [...]Space{Agreed, Data, Ends, Queue, Remembered, Ages, Sessions}

// keyBytesMax bounds a key without its space.
const keyBytesMax = quorate.KeyBytesMax + endBytes

// metaKey is the only key of its space.
var metaKey = []byte{byte(meta)}

// Meta says up to where a state reflects the log.
type Meta struct {
	// Index and Term are those of the last entry applied. Index never
	// decreases.
	Index, Term uint64
	// Time is log time in unix nanoseconds. It never decreases.
	Time int64
	// Hash is over every write since the beginning, in order. Equal states
	// at an equal index have equal hashes.
	Hash uint64
	// Remembered is the number of keys in that space.
	Remembered uint64
	// Endings says what ends.
	Endings
	// Sessions is the number of keys in that space.
	Sessions uint64
}

// metaVersion is the form of Meta on disk: the version and eight numbers of
// 8 bytes, little-endian, in the order of the struct. In version 1 there were
// the first five, for nothing ended.
const metaVersion = 2

const (
	metaBytes   = 1 + 8*8
	metaBytesV1 = 1 + 5*8
)

func (m Meta) append(dst []byte) []byte {
	dst = append(dst, metaVersion)
	for _, n := range [...]uint64{m.Index, m.Term, uint64(m.Time), m.Hash, m.Remembered, m.Expiring, uint64(m.Due), m.Sessions} {
		dst = binary.LittleEndian.AppendUint64(dst, n)
	}
	return dst
}

func readMeta(data []byte) (Meta, error) {
	n := func(i int) uint64 { return binary.LittleEndian.Uint64(data[1+8*i:]) }
	older := len(data) == metaBytesV1 && data[0] == 1
	if !older && (len(data) != metaBytes || data[0] != metaVersion) {
		return Meta{}, errors.New("the state says in an unknown form where it stands; a newer version may have written it")
	}
	m := Meta{Index: n(0), Term: n(1), Time: int64(n(2)), Hash: n(3), Remembered: n(4)}
	if !older {
		m.Endings = Endings{Expiring: n(5), Due: int64(n(6))}
		m.Sessions = n(7)
	}
	return m, nil
}

// Options says where a store lies.
type Options struct {
	FS  vfs.FS
	Dir string
	Log *slog.Logger
	// Failed is called at most once, from any goroutine, when the disk fails
	// under the store. It must return at once and not use the store, which is
	// worth nothing any more.
	Failed func(error)
	// LayerBytes is from which size on the newest writes go from memory to
	// Pebble; 0 is what is best.
	LayerBytes int
}

// Sizes of Pebble.
const (
	// memtableBytes is small on purpose: the skiplist of a memtable that
	// does not fit the processor's cache costs more than the flushes it
	// saves. Few writes see it: what takes half of it, as nearly every layer
	// that is full does, Pebble flushes as it came.
	memtableBytes = 4 << 20
	// memtablesMax bounds the memtables that wait to be flushed.
	memtablesMax = 4
	// cacheBytes holds blocks that were read.
	cacheBytes = 64 << 20
	// filesMax bounds open files.
	filesMax = 500
	// bloomBits is bits of filter a key: 1 % of absent keys cost a read.
	bloomBits = 10
)

// Store is the state on disk. One goroutine applies; any number may read.
type Store struct {
	db         *pebble.DB
	fail       *failure
	seed       seed
	layerBytes int

	// writing is held by who writes to the active layer or freezes it.
	writing token
	// changing guards that now is replaced by a change of itself.
	changing sync.Mutex
	now      atomic.Pointer[state]
	// crowded says that compactions do not keep up.
	crowded atomic.Bool
	// spare is the memory of a batch that was committed, for the next.
	spare atomic.Pointer[writes]

	// users is whoever works with db. Close waits for them, for Pebble panics
	// when it is used after it was closed.
	users sync.WaitGroup
	// closing guards users: nobody joins them once the store has failed or
	// closes.
	closing sync.RWMutex
	closed  atomic.Bool
}

// enter makes the caller a user of the store, until it calls users.Done. It
// says why not if the store has failed or was closed.
func (s *Store) enter() error {
	s.closing.RLock()
	defer s.closing.RUnlock()
	if err := s.Err(); err != nil {
		return err
	}
	s.users.Add(1)
	return nil
}

// Open opens the state in a directory, or makes an empty one.
func Open(o Options) (*Store, error) {
	s := &Store{fail: newFailure(o.Failed), seed: seed(maphash.MakeSeed()), writing: make(token, 1), layerBytes: cmp.Or(o.LayerBytes, layerBytes)}
	err := s.open(func() (*pebble.DB, error) {
		options := pebbleOptions(o, s)
		gate := newGate()
		options.Experimental.CompactionScheduler = gate
		db, err := pebble.Open(o.Dir, options)
		if err == nil {
			gate.open()
		}
		return db, err
	})
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", o.Dir, err)
	}
	m, err := loadMeta(s.db)
	if err == nil && m == (Meta{}) {
		err = s.mustBeEmpty()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open state %s: %w", o.Dir, err), s.Close())
	}
	s.now.Store(&state{meta: m, layers: []*layer{newLayer(s.seed)}, base: newBase(s.db, 0)})
	return s, nil
}

// open makes what run opens the database. Where the store fails meanwhile, as
// it does when Pebble meets damage in the background, nobody waits for run; what
// it opens all the same is closed, or it would hold its lock and its goroutines
// for ever.
func (s *Store) open(run func() (*pebble.DB, error)) error {
	ended := make(chan struct{})
	err := s.fail.aside(func() (err error) {
		defer close(ended)
		s.db, err = run()
		return err
	})
	if err != nil {
		go s.abandon(ended)
	}
	return err
}

// abandon closes what was opened by a run that nobody waits for.
func (s *Store) abandon(ended chan struct{}) {
	<-ended
	if s.db != nil {
		_ = s.fail.aside(s.db.Close)
	}
}

// mustBeEmpty refuses keys that nothing says the index of, such as those of a
// snapshot that was not received as a whole.
func (s *Store) mustBeEmpty() error {
	for _, space := range spaces {
		c := open(nil, s.db, newest, space, nil, nil)
		found := c.valid
		if err := c.close(); err != nil {
			return err
		}
		if found {
			return errors.New("there are keys, but nothing says up to where they reflect the log")
		}
	}
	return nil
}

func pebbleOptions(o Options, s *Store) *pebble.Options {
	fail := s.fail
	options := &pebble.Options{
		FS:                          guardedFS{o.FS, fail, s.hurried},
		DisableWAL:                  true,
		MemTableSize:                memtableBytes,
		MemTableStopWritesThreshold: memtablesMax,
		CacheSize:                   cacheBytes,
		MaxOpenFiles:                filesMax,
		L0CompactionThreshold:       gatheredSublevels,
		L0StopWritesThreshold:       stoppedSublevels,
		FormatMajorVersion:          pebble.FormatNewest,
		Logger:                      logger{o.Log, fail},
		EventListener: &pebble.EventListener{
			BackgroundError: func(err error) { fail.set(fmt.Errorf("write state %s: %w", o.Dir, err)) },
			// Whoever met it gets an error too.
			DataCorruption: func(info pebble.DataCorruptionInfo) {
				fail.set(fmt.Errorf("the state is damaged in %s: %v; make the node anew from an empty directory", info.Path, info.Details))
			},
		},
	}
	options.Levels[0].FilterPolicy = bloom.FilterPolicy(bloomBits)
	for i := 1; i < len(options.Levels); i++ {
		options.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	return options
}

// Meta says up to where the state reflects the log.
func (s *Store) Meta() Meta { return s.now.Load().meta }

// Err is what failed under the store, or that it was closed; nil while it may
// be used.
func (s *Store) Err() error {
	if err := s.fail.get(); err != nil {
		return err
	}
	if s.closed.Load() {
		return errClosed
	}
	return nil
}

// commit makes what was written the state.
func (s *Store) commit(all []write, m Meta) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.users.Done()
	s.writing.take()
	defer s.writing.put()
	if err := s.room(); err != nil {
		return err
	}
	now := s.now.Load()
	sequence := now.sequence + 1
	for i := range all {
		now.active().put(sequence, &all[i])
	}
	s.change(func(now *state) { now.meta, now.sequence = m, sequence })
	return nil
}

// Flush makes the state durable as it stands.
func (s *Store) Flush() error {
	if err := s.enter(); err != nil {
		return err
	}
	return s.fail.aside(func() error {
		defer s.users.Done()
		if err := s.spillUpTo(s.now.Load().sequence); err != nil {
			return err
		}
		flushed, err := s.db.AsyncFlush()
		if err != nil {
			s.fail.set(fmt.Errorf("flush state: %w", err))
			return s.Err()
		}
		// A flush that fails is tried again by Pebble for ever. It says so to
		// fail, and a failed store is not waited for.
		select {
		case <-flushed:
			s.count()
		case <-s.fail.failed:
		}
		return s.Err()
	})
}

// errClosed is what a store that was closed fails with.
var errClosed = errors.New("the state is closed")

// Close closes the store, once every view of it is closed: what these return
// from now on is an error. What was not flushed is in the raft log. The error is
// that of a disk that fails while the store closes.
func (s *Store) Close() error {
	s.closing.Lock()
	again := s.closed.Swap(true)
	failed := s.fail.get()
	s.closing.Unlock()
	end := func() error {
		s.users.Wait()
		var err error
		if now := s.now.Load(); now != nil {
			err = now.base.put()
		}
		return errors.Join(err, s.db.Close())
	}
	switch {
	case again:
		return nil
	case failed != nil:
		// Pebble may wait for ever for a write that cannot succeed, so
		// nobody waits for Pebble. Where it can end, it ends its attempts.
		go func() { _ = s.fail.aside(end) }()
		return nil
	}
	return s.fail.aside(end)
}
