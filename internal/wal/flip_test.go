package wal_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/wal"
)

var allBits = flag.Bool("all-bits", false, "flip each bit in turn, and not one of every byte")

// flips calls try with one bit of every byte of every file changed in turn, or
// with each bit if the flag asks, and logs how often try says what.
func flips(t *testing.T, m image, try func(t *testing.T, changed image, where string) (outcome string)) {
	for _, name := range m.names("") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed, counts := m.clone(), make(map[string]int)
			pick := rand.New(rand.NewPCG(*seedFirst, uint64(len(name))))
			for i := range changed[name] {
				chosen := pick.IntN(8)
				for bit := range 8 {
					if !*allBits && bit != chosen {
						continue
					}
					changed[name][i] ^= 1 << bit
					counts[try(t, changed, fmt.Sprintf("%s byte %d bit %d", name, i, bit))]++
					changed[name][i] ^= 1 << bit
				}
			}
			t.Logf("%d bytes: %v", len(changed[name]), counts)
		})
	}
}

// openFlipped opens a damaged log. It is nil where the damage was detected.
func openFlipped(t *testing.T, changed image, where string) (l *wal.Log, said *bytes.Buffer) {
	t.Helper()
	said = &bytes.Buffer{}
	o := small(changed.fs(t))
	o.Log = slog.New(slog.NewTextHandler(said, nil))
	l, err := wal.Open(o)
	if err != nil && !errors.Is(err, wal.ErrCorrupt) {
		t.Fatalf("%s: %v does not say that the log is damaged", where, err)
	}
	return l, said
}

func TestFlippedBitAfterACleanCloseIsNoticedOrHarmless(t *testing.T) {
	_, want, _, closed := build(t)
	flips(t, closed, func(t *testing.T, changed image, where string) string {
		l, _ := openFlipped(t, changed, where)
		if l == nil {
			return "detected"
		}
		if d := mustRead(t, l).difference(want); d != "" {
			t.Fatalf("%s: the log opens, but %s", where, d)
		}
		mustClose(t, l)
		return "harmless"
	})
}

func TestFlippedBitWithoutACleanCloseCostsTheLastBatchAtMostAndIsReported(t *testing.T) {
	before, after, open, _ := build(t)
	flips(t, open, func(t *testing.T, changed image, where string) string {
		l, said := openFlipped(t, changed, where)
		if l == nil {
			return "detected"
		}
		defer mustClose(t, l)
		if among(t, mustRead(t, l), []state{before, after}, where).difference(after) == "" {
			return "harmless"
		}
		if !strings.Contains(said.String(), "level=WARN") {
			t.Fatalf("%s: the last batch was cut, and nothing was said", where)
		}
		return "reported"
	})
}
