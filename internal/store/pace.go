package store

import (
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A compaction tidies up: nobody waits for it, and it takes a processor for as
// long as it runs, which for a state of a million keys is a second. On a machine
// with few of them, whoever waits for an answer then waits behind it, and on all
// nodes at once, for all tidy up at the same time. So a compaction rests after
// each piece that it writes, twice as long as the piece took, and takes a third
// of a processor.
//
// It does not rest where it is waited for: where the newest writes come so fast
// that the layer in memory is half full, or stands behind one that is on its way
// to Pebble, where more is flushed than it keeps up with, and where the store
// closes.

const (
	// restRatio is how long a compaction rests for the time that it works.
	restRatio = 2
	// restMax bounds one rest. What took longer waited for the disk, or for a
	// processor that others had.
	restMax = 20 * time.Millisecond
	// restMin is from when on it rests: a timer is not more exact than that.
	restMin = time.Millisecond
	// gatheredSublevels is from how many parts of level 0 on a compaction begins.
	// A part is what one spill wrote, over all keys, so that each compaction of
	// them reads and writes the level below as a whole: the more it takes along,
	// the fewer there are. A read asks the filter of each part.
	gatheredSublevels = 12
	// crowdedSublevels is from how many parts on compactions do not rest.
	crowdedSublevels = 20
	// stoppedSublevels is from how many parts on writes wait.
	stoppedSublevels = 32
)

// compactionCategory is what Pebble says of files that a compaction writes.
const compactionCategory vfs.DiskWriteCategory = "pebble-compaction"

// pacedFile is a file that a compaction writes.
type pacedFile struct {
	vfs.File
	hurried func() bool
	// began is when the work began that was not rested for yet.
	began time.Time
}

// Write implements vfs.File.
func (f *pacedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if worked := time.Since(f.began); worked >= restMin {
		if !f.hurried() {
			time.Sleep(min(restRatio*worked, restMax))
		}
		f.began = time.Now()
	}
	return n, err
}

// hurried says that somebody waits for compactions, or will soon.
func (s *Store) hurried() bool {
	now := s.now.Load()
	return s.Err() != nil || now == nil || now.frozen() != nil || now.active().bytes() > s.layerBytes/2 || s.crowded.Load()
}

// count finds out whether level 0 is crowded.
func (s *Store) count() { s.crowded.Store(s.db.Metrics().Levels[0].Sublevels >= crowdedSublevels) }
