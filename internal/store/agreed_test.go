package store_test

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/store"
)

// agreed is what stands in the Agreed space of a store as it is now.
func agreed(t testing.TB, s *store.Store) string {
	t.Helper()
	view := s.View()
	defer mustClose(t, view)
	return string(view.Agreed())
}

func TestWhatIsAgreedStandsInTheStateAndGoesWithIt(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, fs)
	mustPut(t, s, 1, "key", "value")
	before := mustHash(t, s)
	if got := agreed(t, s); got != "" {
		t.Errorf("before there is %q", got)
	}
	b := s.Begin()
	b.BeginEntry(s.Meta().Hash, 2)
	b.Set(store.Agreed, nil, []byte("words"))
	b.Keep()
	must(t, b.Commit(store.Meta{Index: 2, Hash: b.EntryHash()}))
	if got := agreed(t, s); got != "words" || mustHash(t, s) == before {
		t.Errorf("in memory it is %q, and the content is another: %v", got, mustHash(t, s) != before)
	}

	received, err := receive(t, 1, mustStream(t, s, 1))
	must(t, err)
	if got := agreed(t, received); got != "words" || mustHash(t, received) != mustHash(t, s) {
		t.Errorf("as a stream it arrives as %q", got)
	}

	must(t, s.Flush())
	mustClose(t, s)
	s = mustOpen(t, fs)
	defer mustClose(t, s)
	if got := agreed(t, s); got != "words" {
		t.Errorf("opened again it is %q", got)
	}
}
