package wal

import "fmt"

// pending is a batch that is written and not yet durable. There is at most one,
// for the next is written only when it is durable.
type pending struct {
	first uint64        // its first entry
	done  chan struct{} // closed when it is durable, or the log has stopped
}

// Begin puts entries behind the log as Append does, and returns before the last
// batch of them is durable: readers see them from now on, and WaitDurable says
// when nothing can take them back. A crash before that loses them, as one during
// Append does. Whatever writes to the log next waits until they are durable.
func (l *Log) Begin(entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	if err := l.enterWith(entries); err != nil {
		return err
	}
	p, err := l.put(entries, true)
	if p == nil {
		l.leaveWriting()
		return err
	}
	go l.settle(p)
	return nil
}

// settle makes the batch durable that was written last, and hands the token of
// writing back.
func (l *Log) settle(p *pending) {
	defer l.leaveWriting()
	err := l.sync()
	if err == nil {
		l.mu.Lock()
		l.pending = nil
		l.prepare()
		l.mu.Unlock()
	}
	close(p.done)
}

// Durable is index, or up to where the log is durable if that is less. It is less
// only while a batch that was begun is on its way to the disk, and for ever when
// that has failed.
func (l *Log) Durable(index uint64) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending != nil {
		return min(index, l.pending.first-1)
	}
	return index
}

// WaitDurable returns when the entries up to an index, which is in the log, are
// durable, or with why they never will be.
func (l *Log) WaitDurable(index uint64) error {
	l.mu.Lock()
	p := l.pending
	l.mu.Unlock()
	if p == nil || index < p.first {
		return nil
	}
	<-p.done
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pending == p {
		return fmt.Errorf("the log stopped before entry %d was durable: %w", index, l.err)
	}
	return nil
}
