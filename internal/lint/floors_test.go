package lint_test

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// module is the import path of the root package.
const module = "github.com/quorate/quorate"

// floors places every room. A room imports rooms on lower floors only: never
// sideways, never up. A folder below a room is on the floor of its room. A new
// room is placed here first.
var floors = map[string]int{
	"values":             -1,
	"internal/jsonform":  -2,
	"internal/engine":    -1,
	".":                  0,
	"internal/invariant": 0,
	"internal/watermark": 0,
	"internal/deadline":  0,
	"internal/resp":      0,

	"kv":                  1,
	"httpapi":             1,
	"internal/entry":      1,
	"internal/load":       1,
	"internal/logtime":    1,
	"internal/memory":     1,
	"internal/wal":        1,
	"internal/peer":       1,
	"internal/repeat":     1,
	"internal/vocabulary": 1,

	"client":             2,
	"respapi":            2,
	"internal/store":     2,
	"internal/batch":     2,
	"internal/readindex": 2,

	"kv/redis":         3,
	"internal/machine": 3,

	"internal/consensus": 4,

	"node": 5,

	"cli":         6,
	"quoratetest": 6,

	"cmd/quorate":      7,
	"examples":         7,
	"internal/differ":  7,
	"internal/sim":     7,
	"internal/torture": 7,
	"internal/planted": 7,
	"internal/lint":    7,
}

// roomOf is the room that a folder belongs to: itself, or the nearest folder
// above it that is a room. A folder on no floor is returned as it is.
func roomOf(folder string) (string, bool) {
	for room := folder; room != "."; room = path.Dir(room) {
		if _, ok := floors[room]; ok {
			return room, true
		}
	}
	return folder, folder == "."
}

// checkPlaced finds folders that stand on no floor.
func checkPlaced(files []file) (broken []string) {
	seen := make(map[string]bool)
	for _, f := range files {
		if _, ok := roomOf(f.folder); !ok && !seen[f.folder] {
			seen[f.folder] = true
			broken = append(broken, fmt.Sprintf("%s: the folder stands on no floor; place it in internal/lint", f.folder))
		}
	}
	return broken
}

// checkFloors finds imports of a room on the same or a higher floor. Tests may
// look anywhere.
func checkFloors(files []file) (broken []string) {
	for _, f := range files {
		room, ok := roomOf(f.folder)
		if f.test || !ok {
			continue
		}
		for imported := range maps.Values(f.imports) {
			folder, ours := folderOf(imported)
			target, placed := roomOf(folder)
			if !ours || !placed || family(f.folder, folder) || floors[target] < floors[room] {
				continue
			}
			broken = append(broken, fmt.Sprintf("%s: %s on floor %d imports %s on floor %d",
				f.path, room, floors[room], target, floors[target]))
		}
	}
	return broken
}

// folderOf is the folder of an imported package of this module.
func folderOf(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// family says that one of two folders lies inside the other. The root holds
// everything and is family to nobody.
func family(a, b string) bool {
	return a != "." && b != "." && (strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/"))
}

// alone names the rooms that may import a technology.
var alone = []struct {
	path  string // of the module, or the beginning of several
	rooms []string
	tests bool // tests of any room may import it
}{
	{path: "github.com/HdrHistogram", rooms: []string{"internal/load"}},
	{path: "github.com/jedib0t", rooms: []string{"cli"}},
	{path: "github.com/hashicorp/raft", rooms: []string{"internal/consensus"}},
	{path: "github.com/gin-gonic/gin", rooms: []string{"httpapi"}},
	{path: "github.com/spf13", rooms: []string{"cli", "cmd/quorate"}},
	{
		path:  "github.com/cockroachdb/pebble",
		rooms: []string{"internal/wal", "internal/store", "internal/consensus", "node", "quoratetest"},
		tests: true,
	},
	{path: "github.com/anishathalye/porcupine", rooms: []string{"quoratetest"}, tests: true},
}

// checkAlone finds imports of a technology outside the rooms that know it.
func checkAlone(files []file) (broken []string) {
	for _, f := range files {
		room, _ := roomOf(f.folder)
		for imported := range maps.Values(f.imports) {
			for _, a := range alone {
				if !within(imported, a.path) || f.test && a.tests || slices.Contains(a.rooms, room) {
					continue
				}
				broken = append(broken, fmt.Sprintf("%s: only %s may import %s",
					f.path, strings.Join(a.rooms, ", "), imported))
			}
		}
	}
	return broken
}

// within says that an import path is prefix or lies below it.
func within(imported, prefix string) bool {
	return imported == prefix || strings.HasPrefix(imported, prefix+"/")
}
