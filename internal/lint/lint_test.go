package lint_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// root is the folder of the module, as seen from this package.
const root = "../.."

// rules is everything that is checked by reading source files.
var rules = []struct {
	name  string
	check func([]file) []string
}{
	{"every folder stands on a floor", checkPlaced},
	{"rooms import lower floors only", checkFloors},
	{"each technology has its rooms", checkAlone},
	{"rooms that decide state are pure", checkPure},
	{"libraries do not end the process", checkEndings},
	{"exported names have comments", checkComments},
	{"packages have comments", checkPackageComments},
}

func TestTheHouseKeepsItsRules(t *testing.T) {
	files, err := load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go files found: the test looks in the wrong folder")
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			broken := rule.check(files)
			slices.Sort(broken)
			for _, line := range broken {
				t.Error(line)
			}
		})
	}
}

// TestLanguageAndClientNeedTheStandardLibraryOnly asks the go command, which
// knows what is behind an import.
func TestLanguageAndClientNeedTheStandardLibraryOnly(t *testing.T) {
	for _, folder := range []string{".", "./client"} {
		if _, err := os.Stat(filepath.Join(root, folder)); err != nil {
			continue
		}
		list := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", folder)
		list.Dir = root
		list.Stderr = os.Stderr
		out, err := list.Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", folder, err)
		}
		deps := strings.Fields(string(out))
		if len(deps) == 0 {
			t.Fatalf("go list -deps %s names not even the package itself", folder)
		}
		for _, dep := range deps {
			if !within(dep, module) {
				t.Errorf("%s needs %s, which is not in the standard library", folder, dep)
			}
		}
	}
}

// TestLanguageFitsOnOnePage: who writes a service reads all of it. What only the
// rooms of this module need is in internal/engine.
func TestLanguageFitsOnOnePage(t *testing.T) {
	const linesMax = 400
	doc := exec.Command("go", "doc", "-all", ".")
	doc.Dir = root
	doc.Stderr = os.Stderr
	out, err := doc.Output()
	if err != nil {
		t.Fatalf("go doc: %v", err)
	}
	if lines := strings.Count(string(out), "\n"); lines >= linesMax || !strings.Contains(string(out), "type Command") {
		t.Errorf("the page of package quorate has %d lines, want less than %d and the language on it", lines, linesMax)
	}
}

// TestNodeIsEmbeddedWithoutTheDoors: a program that answers calls in its own way
// does not link what ours are made of.
func TestNodeIsEmbeddedWithoutTheDoors(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "./node")
	list.Dir = root
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list -deps ./node: %v", err)
	}
	deps := strings.Fields(string(out))
	if !slices.Contains(deps, module+"/internal/consensus") {
		t.Fatal("go list -deps ./node does not name what a node is made of: the test looks at the wrong thing")
	}
	for _, dep := range deps {
		for _, door := range []string{"github.com/gin-gonic", "github.com/spf13", module + "/httpapi", module + "/respapi", module + "/cli", module + "/kv", module + "/quoratetest"} {
			if within(dep, door) {
				t.Errorf("package node links %s", dep)
			}
		}
	}
}

func TestEachRuleFindsWhatIsPlanted(t *testing.T) {
	for _, c := range planted {
		t.Run(c.name, func(t *testing.T) {
			files, err := load(tree(c.files))
			if err != nil {
				t.Fatal(err)
			}
			var broken []string
			for _, rule := range rules {
				broken = append(broken, rule.check(files)...)
			}
			if c.want == "" {
				if len(broken) != 0 {
					t.Fatalf("a clean tree breaks rules:\n%s", strings.Join(broken, "\n"))
				}
				return
			}
			if len(broken) != 1 || !strings.Contains(broken[0], c.want) {
				t.Fatalf("found %q, want one line with %q", broken, c.want)
			}
		})
	}
}

func tree(files map[string]string) fs.FS {
	made := make(fstest.MapFS)
	for name, source := range files {
		made[name] = &fstest.MapFile{Data: []byte(source)}
	}
	return made
}

// planted is small trees with one broken rule each, and some that look broken
// and are not. An empty want means a clean tree.
var planted = []struct {
	name  string
	files map[string]string
	want  string
}{
	{
		name: "an import of a lower floor is fine",
		files: map[string]string{"node/a.go": `// Package node is one.
package node
import _ "github.com/quorate/quorate/internal/store"
import _ "github.com/quorate/quorate"
`},
	},
	{
		name: "an import of a higher floor",
		files: map[string]string{"internal/store/a.go": `// Package store is one.
package store
import _ "github.com/quorate/quorate/node"
`},
		want: "internal/store on floor 2 imports node on floor 5",
	},
	{
		name: "an import sideways",
		files: map[string]string{"httpapi/a.go": `// Package httpapi is one.
package httpapi
import "github.com/quorate/quorate/kv"
`},
		want: "httpapi on floor 1 imports kv on floor 1",
	},
	{
		name: "an import sideways into a folder below a room",
		files: map[string]string{"internal/wal/a.go": `// Package wal is one.
package wal
import "github.com/quorate/quorate/internal/peer/memnet"
`},
		want: "internal/wal on floor 1 imports internal/peer on floor 1",
	},
	{
		name: "a room and a folder below it know each other",
		files: map[string]string{"internal/peer/memnet/a.go": `// Package memnet is one.
package memnet
import _ "github.com/quorate/quorate/internal/peer"
`},
	},
	{
		name: "the root imports a room",
		files: map[string]string{"a.go": `// Package quorate is one.
package quorate
import _ "github.com/quorate/quorate/internal/watermark"
`},
		want: ". on floor 0 imports internal/watermark on floor 0",
	},
	{
		name: "a test looks up",
		files: map[string]string{
			"kv/a.go":      "// Package kv is one.\npackage kv\n",
			"kv/a_test.go": "package kv_test\nimport _ \"github.com/quorate/quorate/internal/machine\"\n",
		},
	},
	{
		name:  "a folder on no floor",
		files: map[string]string{"internal/attic/a.go": "// Package attic is one.\npackage attic\n"},
		want:  "internal/attic: the folder stands on no floor",
	},
	{
		name: "a module of its own is apart",
		files: map[string]string{
			"tools/go.mod": "module tools\n",
			"tools/a.go":   "package tools\nfunc init() {}\n",
		},
	},
	{
		name:  "test data is not read",
		files: map[string]string{"kv/testdata/a.go": "not Go at all"},
	},
	{
		name: "raft outside consensus, even in a test",
		files: map[string]string{
			"node/a.go":      "// Package node is one.\npackage node\n",
			"node/a_test.go": "package node\nimport \"github.com/hashicorp/raft\"\n",
		},
		want: "only internal/consensus may import github.com/hashicorp/raft",
	},
	{
		name: "gin outside httpapi",
		files: map[string]string{"cli/a.go": `// Package cli is one.
package cli
import "github.com/gin-gonic/gin/binding"
`},
		want: "only httpapi may import github.com/gin-gonic/gin/binding",
	},
	{
		name: "cobra outside cli",
		files: map[string]string{"node/a.go": `// Package node is one.
package node
import "github.com/spf13/cobra"
`},
		want: "only cli, cmd/quorate may import github.com/spf13/cobra",
	},
	{
		name: "pebble outside its rooms",
		files: map[string]string{"internal/machine/a.go": `// Package machine is one.
package machine
import "github.com/cockroachdb/pebble/v2"
`},
		want: "may import github.com/cockroachdb/pebble/v2",
	},
	{
		name: "pebble in a test of any room",
		files: map[string]string{
			"internal/machine/a.go":      "// Package machine is one.\npackage machine\n",
			"internal/machine/a_test.go": "package machine\nimport \"github.com/cockroachdb/pebble/v2/vfs\"\n",
		},
	},
	{
		name: "a clock where state is decided",
		files: map[string]string{"kv/a.go": `// Package kv is one.
package kv
import "time"
var started = time.Now()
`},
		want: "kv/a.go:4: a room that decides state reads no clock: time.Now",
	},
	{
		name: "a clock under another name",
		files: map[string]string{"internal/entry/a.go": `// Package entry is one.
package entry
import clock "time"
var started = clock.Since
`},
		want: "reads no clock: time.Since",
	},
	{
		name: "a clock without a name",
		files: map[string]string{"kv/a.go": `// Package kv is one.
package kv
import . "time"
var started = Now()
`},
		want: "does not import time",
	},
	{
		name: "a duration is no clock",
		files: map[string]string{"kv/a.go": `// Package kv is one.
package kv
import "time"
const window = time.Hour
`},
	},
	{
		name: "a clock elsewhere",
		files: map[string]string{"node/a.go": `// Package node is one.
package node
import "time"
var started = time.Now()
`},
	},
	{
		name: "the global source of random numbers",
		files: map[string]string{"internal/machine/a.go": `// Package machine is one.
package machine
import "math/rand/v2"
var n = rand.IntN(6)
`},
		want: "from the global source: rand.IntN",
	},
	{
		name: "a seeded source of random numbers",
		files: map[string]string{"internal/machine/a.go": `// Package machine is one.
package machine
import "math/rand/v2"
func source(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
`},
	},
	{
		name: "a goroutine where state is decided",
		files: map[string]string{"a.go": `// Package quorate is one.
package quorate
func begin() { go begin() }
`},
		want: "a.go:3: a room that decides state starts no goroutine",
	},
	{
		name: "files where state is decided",
		files: map[string]string{"kv/a.go": `// Package kv is one.
package kv
import "os/exec"
`},
		want: "a room that decides state does not import os/exec",
	},
	{
		name: "the network where state is decided",
		files: map[string]string{"kv/a.go": `// Package kv is one.
package kv
import "net"
`},
		want: "a room that decides state does not import net",
	},
	{
		name: "an init function",
		files: map[string]string{"node/a.go": `// Package node is one.
package node
func init() {}
`},
		want: "node/a.go:3: no init functions",
	},
	{
		name: "a library that ends the process",
		files: map[string]string{"node/a.go": `// Package node is one.
package node
import "os"
func stop() { os.Exit(1) }
`},
		want: "os.Exit ends the process",
	},
	{
		name: "a library that ends the process with a log line",
		files: map[string]string{"node/a.go": `// Package node is one.
package node
import "log"
func stop() { log.Fatalf("over") }
`},
		want: "log.Fatalf ends the process",
	},
	{
		name: "the command line may end the process",
		files: map[string]string{"cli/a.go": `// Package cli is one.
package cli
import "os"
func stop() { os.Exit(1) }
`},
	},
	{
		name: "an exported function without a comment",
		files: map[string]string{"node/a.go": `// Package node is one.
package node

func Start() {}
`},
		want: "exported Start has no comment",
	},
	{
		name: "an exported method without a comment",
		files: map[string]string{"node/a.go": `// Package node is one.
package node

// Node is one.
type Node[T any] struct{}

func (n *Node[T]) Close() {}

type hidden struct{}

func (hidden) Close() {}
`},
		want: "exported Close has no comment",
	},
	{
		name: "an exported type without a comment in a group that has one",
		files: map[string]string{"node/a.go": `// Package node is one.
package node

// These are types.
type (
	Node struct{}
	hidden struct{}
)
`},
		want: "exported Node has no comment",
	},
	{
		name: "constants share the comment of their group",
		files: map[string]string{"node/a.go": `// Package node is one.
package node

// The roles.
const (
	Leader = 1
	Follower = 2
)
`},
	},
	{
		name: "an exported constant without a comment",
		files: map[string]string{"node/a.go": `// Package node is one.
package node

const (
	Leader = 1 // orders the log
	Follower = 2
)
`},
		want: "exported Follower has no comment",
	},
	{
		name:  "a package without a comment",
		files: map[string]string{"node/a.go": "package node\n"},
		want:  "node: no package comment",
	},
	{
		name:  "a package with a comment that does not name it",
		files: map[string]string{"node/a.go": "// This is the node.\npackage node\n"},
		want:  "node: no package comment",
	},
}
