package machine

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
	"github.com/quorate/quorate/internal/store"
	"github.com/quorate/quorate/internal/vocabulary"
)

// What all members know stands in the Agreed space of the state: the words of
// every agreement that was applied. It only grows. A program that does not know
// all of it never works with such a state, whether it finds it at the start,
// gets it from another node, or comes to it by the log: others may use any of it
// in the next entry.

// language is what this program knows, and what all members know.
type language struct {
	own vocabulary.Words
	// agreed is what stands in the state; it points to nothing where nobody
	// has agreed on anything yet.
	agreed atomic.Pointer[vocabulary.Words]
	// whole says that agreed covers own.
	whole atomic.Bool
	// unfit is why this program must not work with the state. It is set before
	// anybody else knows the machine, and by Swap.
	unfit error
}

// Own is what this program knows.
func (m *Machine) Own() vocabulary.Words { return m.language.own }

// Agreed is what the members have agreed that all of them know; nil if they
// have not agreed on anything yet.
func (m *Machine) Agreed() vocabulary.Words { return *m.language.agreed.Load() }

// AgreedOnAll says that all members know all that this program knows.
func (m *Machine) AgreedOnAll() bool { return m.language.whole.Load() }

// Unfit is why this program must not work with the state, or nil. It is asked
// before anything is read or applied.
func (m *Machine) Unfit() error { return m.language.unfit }

// learn finds out what this program knows.
func (l *language) learn(service *quorate.Service, s *store.Store) {
	own, err := vocabulary.Of(service)
	l.own = own
	l.set(new(vocabulary.Words))
	l.unfit = err
	if err == nil {
		l.unfit = l.take(service, s)
	}
}

// take takes over what stands in a state, and says why this program must not
// work with it.
func (l *language) take(service *quorate.Service, s *store.Store) error {
	words, err := wordsIn(s)
	if err != nil {
		return fmt.Errorf("read what all members know: %w", err)
	}
	l.set(&words)
	if what := l.own.Missing(words); what != "" {
		return agreedOn(newer(what, service))
	}
	return nil
}

func (l *language) set(agreed *vocabulary.Words) {
	l.agreed.Store(agreed)
	l.whole.Store(agreed.Missing(l.own) == "")
}

// wordsIn is what stands in a state; nil if nothing does.
func wordsIn(s *store.Store) (words vocabulary.Words, err error) {
	view := s.View()
	data := view.Agreed()
	if data != nil {
		words, err = vocabulary.Read(data)
	}
	return words, errors.Join(err, view.Err(), view.Close())
}

// newer says that this program does not know what others use.
func newer(what string, service *quorate.Service) error {
	return fmt.Errorf("%s is not known to this program; it was %w: run a version of service %s that knows it",
		what, entry.ErrNewer, service.Name())
}

func agreedOn(err error) error {
	return fmt.Errorf("the members have agreed on what all of them know: %w", err)
}

// open takes the header of the entry. It has either calls or words.
func (r *run) open() (header entry.Header, words vocabulary.Words, err error) {
	if !entry.IsAgreement(r.entry.Data) {
		header, err = r.calls.Open(r.entry.Data)
		return header, nil, err
	}
	r.calls = entry.Calls{}
	header, data, err := entry.ReadAgreement(r.entry.Data)
	if err != nil {
		return header, nil, fmt.Errorf("read an agreement: %w", err)
	}
	words, err = vocabulary.Read(data)
	return header, words, err
}

// agree makes words known to all, if this program knows them.
func (r *run) agree(words vocabulary.Words) error {
	m := r.machine
	if what := m.language.own.Missing(words); what != "" {
		return agreedOn(newer(what, m.service))
	}
	if r.agreed.Missing(words) == "" {
		return nil
	}
	all := r.agreed.With(words)
	r.agreed = &all
	r.batch.Set(store.Agreed, nil, all.Append(nil))
	r.batch.Keep()
	return nil
}
