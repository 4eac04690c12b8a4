package memdisk_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/quorate/quorate/internal/wal/memdisk"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustSync(t *testing.T, fs vfs.FS, dir string) {
	t.Helper()
	f, err := fs.OpenDir(dir)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// mustWrite makes a file of one byte, repeated.
func mustWrite(t *testing.T, fs vfs.FS, path string, b byte, size int) vfs.File {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write(bytes.Repeat([]byte{b}, size))
	must(t, err)
	return f
}

// found is the content of a file after a loss, false if there is none.
func found(t *testing.T, d *memdisk.Disk, n int, loss memdisk.Loss, path string) ([]byte, bool) {
	t.Helper()
	fs, err := d.After(n, loss)
	must(t, err)
	f, err := fs.Open(path)
	if err != nil {
		return nil, false
	}
	data, err := io.ReadAll(f)
	must(t, err)
	return data, true
}

func TestWhatIsSyncedIsThere(t *testing.T) {
	d := memdisk.New()
	must(t, d.MkdirAll("a/b", 0o755))
	mustSync(t, d, "")
	mustSync(t, d, "a")
	f := mustWrite(t, d, "a/b/file", 1, 2000)
	unsynced := d.Len()
	must(t, f.Sync())
	mustSync(t, d, "a/b")
	synced := d.Len()
	_, err := f.Write([]byte{2})
	must(t, err)

	if _, ok := found(t, d, unsynced, memdisk.Worst(), "a/b/file"); ok {
		t.Error("a name is there that was not synced")
	}
	if data, _ := found(t, d, unsynced, memdisk.None(), "a/b/file"); len(data) != 2000 {
		t.Errorf("%d bytes are there of a process that was killed", len(data))
	}
	for _, n := range []int{synced, d.Len()} {
		if data, _ := found(t, d, n, memdisk.Worst(), "a/b/file"); !bytes.Equal(data, bytes.Repeat([]byte{1}, 2000)) {
			t.Errorf("of 2000 synced bytes %d are there, or others", len(data))
		}
	}
}

func TestSectorsAreLostOneByOne(t *testing.T) {
	d := memdisk.New()
	f := mustWrite(t, d, "file", 1, 5*512)
	must(t, f.Sync())
	mustSync(t, d, "")
	_, err := f.Write(bytes.Repeat([]byte{3}, 100))
	must(t, err)
	g, err := d.OpenReadWrite("file", vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = g.WriteAt(bytes.Repeat([]byte{2}, 5*512), 0)
	must(t, err)

	seen := map[string]bool{}
	for seed := range uint64(200) {
		data, _ := found(t, d, d.Len(), memdisk.Sectors(rand.New(rand.NewPCG(seed, 0))), "file")
		for i := 0; i+512 <= len(data); i += 512 {
			if sector := data[i : i+512]; !bytes.Equal(sector, bytes.Repeat(sector[:1], 512)) {
				t.Fatalf("seed %d: the sector at %d is a mixture", seed, i)
			}
		}
		seen[string(data)] = true
		data, _ = found(t, d, d.Len(), memdisk.Files(rand.New(rand.NewPCG(seed, 0))), "file")
		if data[0] != data[2559] || (len(data) == 2660) != (data[0] == 2) {
			t.Fatalf("seed %d: a file is there in part", seed)
		}
	}
	if len(seen) < 30 { // of 64
		t.Errorf("only %d ways to lose sectors", len(seen))
	}
}

func TestARenameIsThereAsAWholeOrNotAtAll(t *testing.T) {
	d := memdisk.New()
	f := mustWrite(t, d, "old", 1, 1)
	must(t, f.Sync())
	must(t, f.Close())
	mustSync(t, d, "")
	must(t, d.Rename("old", "new"))
	seen := map[bool]bool{}
	for seed := range uint64(20) {
		fs, err := d.After(d.Len(), memdisk.Files(rand.New(rand.NewPCG(seed, 0))))
		must(t, err)
		names, err := fs.List("")
		must(t, err)
		if len(names) != 1 {
			t.Fatalf("seed %d: there are %q", seed, names)
		}
		seen[slices.Contains(names, "new")] = true
	}
	if len(seen) != 2 {
		t.Error("a rename is always there, or never")
	}
	must(t, d.Remove("new"))
	mustSync(t, d, "")
	if _, ok := found(t, d, d.Len(), memdisk.None(), "new"); ok {
		t.Error("what was removed is there")
	}
}
