package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// A layer that is full is frozen: an empty one takes its place, and a goroutine
// writes the full one to Pebble, in order, as one batch with the Meta of the
// moment of freezing. So what Pebble holds is what the log comes to up to the
// index in it, whenever it is asked. Then the layer goes.

// layerBytes is when a layer is full. The larger it is, the more writes of a key
// go to Pebble as one, and the less often Pebble reads and writes again what it
// has. A small write takes about 60 bytes, so a full layer is half a million.
// There are two at most, the full one once more as a batch, and what one commit
// writes beside: about 100 MiB where writes never pause.
const layerBytes = 32 << 20

// token is a lock whose holder may wait for the disk. It is a channel because
// whoever waits for a mutex holds up the time of a test.
type token chan struct{}

func (t token) take() { t <- struct{}{} }
func (t token) put()  { <-t }

// room makes room in the active layer. It waits where the one before it is not
// in Pebble yet. The caller holds writing.
func (s *Store) room() error {
	now := s.now.Load()
	if now.active().bytes() < s.layerBytes {
		return nil
	}
	if err := s.await(now.frozen()); err != nil {
		return err
	}
	s.freeze()
	return nil
}

// await waits until a layer is in Pebble. It may be nil.
func (s *Store) await(l *layer) error {
	if l == nil {
		return nil
	}
	select {
	case <-l.spilled:
		return nil
	case <-s.fail.failed:
		return s.Err()
	}
}

// freeze begins to write the active layer to Pebble. The caller holds writing
// and is a user of the store; no layer is frozen.
func (s *Store) freeze() {
	var frozen *layer
	s.change(func(now *state) {
		frozen = now.active()
		frozen.meta, frozen.sequence = now.meta, now.sequence
		now.layers = []*layer{newLayer(s.seed), frozen}
	})
	s.users.Add(1)
	go func() {
		// An error is that of the store.
		_ = s.fail.aside(func() error {
			defer s.users.Done()
			return s.spill(frozen)
		})
	}()
}

// spill writes a layer to Pebble.
func (s *Store) spill(l *layer) error {
	batch, err := s.batch(l)
	if err == nil {
		err = batch.Commit(pebble.NoSync)
	}
	if err != nil {
		s.fail.set(fmt.Errorf("write state: %w", err))
		return errors.Join(err, batch.Close())
	}
	before, after := s.now.Load().base, newBase(s.db, l.sequence)
	s.change(func(now *state) {
		// Not a part of the slice, behind which the layer would be kept.
		now.layers, now.base = []*layer{now.active()}, after
	})
	s.count()
	close(l.spilled)
	return errors.Join(before.put(), batch.Close())
}

// batch is a layer and its Meta as a batch of Pebble.
func (s *Store) batch(l *layer) (*pebble.Batch, error) {
	keys := l.keys()
	size := recordHead + metaBytes
	for _, addresses := range keys {
		for _, address := range addresses {
			w := l.records.at(address)
			size += recordHead + len(w.key) + len(w.value)
		}
	}
	batch := s.db.NewBatchWithSize(size)
	for _, addresses := range keys {
		for _, address := range addresses {
			if err := stage(batch, l.records.at(address)); err != nil {
				return batch, err
			}
		}
	}
	return batch, batch.Set(metaKey, l.meta.append(nil), nil)
}

func stage(batch *pebble.Batch, w record) error {
	if w.flags&flagDeleted != 0 {
		return batch.Delete(w.key, nil)
	}
	return batch.Set(w.key, w.value, nil)
}

// spillUpTo waits until a commit is in Pebble.
func (s *Store) spillUpTo(sequence uint64) error {
	for {
		now := s.now.Load()
		if now.base.sequence >= sequence {
			return nil
		}
		if now.frozen() == nil {
			s.freezeOnce()
			continue
		}
		if err := s.await(now.frozen()); err != nil {
			return err
		}
	}
}

// freezeOnce freezes the active layer, if nobody else does.
func (s *Store) freezeOnce() {
	s.writing.take()
	defer s.writing.put()
	if s.now.Load().frozen() == nil {
		s.freeze()
	}
}
