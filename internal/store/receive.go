package store

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// Receive makes a store in an empty directory from a stream. The store is
// durable when Receive returns; it holds all of the stream or there is an
// error. It returns how many bytes of r it read.
func Receive(o Options, group uint64, r io.Reader) (*Store, int64, error) {
	s, err := Open(o)
	if err != nil {
		return nil, 0, err
	}
	if s.Meta() != (Meta{}) {
		return nil, 0, errors.Join(fmt.Errorf("receive snapshot: there is a state in %s already", o.Dir), s.Close())
	}
	in := newDecoder(r)
	defer in.close()
	if err := s.receive(in, group); err != nil {
		return nil, in.bytes, errors.Join(fmt.Errorf("receive snapshot: %w", err), s.Close())
	}
	return s, in.bytes, nil
}

func (s *Store) receive(in *decoder, group uint64) error {
	m, err := in.decode(group, func(raw []byte) error { return s.put(in, raw) })
	if err != nil {
		return err
	}
	// Meta comes last: a store without it is not opened. With the flush goes a
	// layer, which holds nothing but makes what is in Pebble seen.
	if err := s.Begin().Commit(m); err != nil {
		return err
	}
	return s.Flush()
}

// put stores the records of one block, in Pebble at once: they come in order,
// and nobody reads them before all are there.
func (s *Store) put(in *decoder, raw []byte) error {
	batch := s.db.NewBatch()
	for len(raw) > 0 {
		key, value, rest, err := in.record(raw)
		if err == nil {
			err = batch.Set(key, value, nil)
		}
		if err != nil {
			return errors.Join(err, batch.Close())
		}
		raw = rest
	}
	if err := s.enter(); err != nil {
		return errors.Join(err, batch.Close())
	}
	return s.fail.aside(func() error {
		defer s.users.Done()
		if err := batch.Commit(pebble.NoSync); err != nil {
			s.fail.set(fmt.Errorf("write state: %w", err))
			return s.Err()
		}
		return batch.Close()
	})
}
