package quoratetest

import (
	"log/slog"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/engine"
	"github.com/quorate/quorate/internal/store"
)

// began is where log time begins: where the clock of a testing/synctest bubble
// does, so that a test in one can compare both.
var began = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// NewTx makes the transaction of one command, on an empty state in memory. It is
// for tests that call Apply themselves; &tx.View is what a query sees of the same
// state. It is the transaction at index 1 of the log, Now is midnight of
// 2000-01-01 UTC, and Rand draws the same numbers in each run.
//
// Commands at several places of the log, a later time, what happens to a command
// that fails or writes too much, and one that runs others need Local.
func NewTx(t testing.TB) *quorate.Tx {
	t.Helper()
	s := openStore(t, vfs.NewMem())
	t.Cleanup(func() { mustClose(t, s.Close()) })
	return quorate.Engine().NewTx(store.DataOf{Batch: s.Begin()}, engine.Moment{Index: 1, Time: began, Seed: 1})
}

// stateDir is where a state lies on its disk in memory.
const stateDir = "state"

func openStore(t testing.TB, fs vfs.FS) *store.Store {
	t.Helper()
	s, err := store.Open(storeOptions(fs, stateDir))
	if err != nil {
		t.Fatalf("open a state in memory: %v", err)
	}
	return s
}

func storeOptions(fs vfs.FS, dir string) store.Options {
	return store.Options{FS: fs, Dir: dir, Log: slog.New(slog.DiscardHandler)}
}

func mustClose(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("close the state in memory: %v", err)
	}
}
