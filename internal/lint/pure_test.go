package lint_test

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// deciding is the rooms that decide state. What they compute must be the same
// on every node, so they know nothing but their arguments.
var deciding = []string{".", "kv", "internal/entry", "internal/vocabulary", "internal/machine"}

// outside is what a room that decides state must not import: the machine, the
// network, and random numbers that nobody can repeat.
var outside = []string{"os", "net", "syscall", "crypto/rand"}

// clocks is the functions of package time that read the clock or wait for it.
var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Sleep"}

// seeded is what of math/rand and math/rand/v2 does not use the global source.
var seeded = []string{"New", "NewPCG", "NewChaCha8", "NewSource", "NewZipf", "Rand", "Source", "Source64", "PCG", "ChaCha8", "Zipf"}

// checkPure finds what could make two nodes come to different states.
func checkPure(files []file) (broken []string) {
	for _, f := range files {
		room, _ := roomOf(f.folder)
		if f.test || !slices.Contains(deciding, room) {
			continue
		}
		broken = append(broken, impureImports(f)...)
		ast.Inspect(f.syntax, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.GoStmt:
				broken = append(broken, f.at(n)+": a room that decides state starts no goroutine")
			case *ast.SelectorExpr:
				if why := impureUse(f, n); why != "" {
					broken = append(broken, f.at(n)+": a room that decides state "+why)
				}
			}
			return true
		})
	}
	return broken
}

func impureImports(f file) (broken []string) {
	for name, imported := range f.imports {
		banned := slices.ContainsFunc(outside, func(o string) bool { return within(imported, o) })
		hidden := strings.HasPrefix(name, ".") && (imported == "time" || within(imported, "math/rand"))
		if banned || hidden {
			broken = append(broken, fmt.Sprintf("%s: a room that decides state does not import %s", f.path, imported))
		}
	}
	return broken
}

// impureUse says why a selected name is not allowed, or nothing.
func impureUse(f file, selected *ast.SelectorExpr) string {
	imported, name := f.selected(selected)
	switch {
	case imported == "time" && slices.Contains(clocks, name):
		return "reads no clock: time." + name
	case within(imported, "math/rand") && !slices.Contains(seeded, name):
		return "draws no random numbers from the global source: rand." + name
	}
	return ""
}

// selected is the import and the name that an expression such as time.Now
// names; nothing where it is a field or a method.
func (f file) selected(expr *ast.SelectorExpr) (imported, name string) {
	qualifier, ok := expr.X.(*ast.Ident)
	if !ok {
		return "", ""
	}
	return f.imports[qualifier.Name], expr.Sel.Name
}

// checkEndings finds code that ends the process where a library must not, and
// code that runs before main.
func checkEndings(files []file) (broken []string) {
	for _, f := range files {
		if f.test {
			continue
		}
		room, _ := roomOf(f.folder)
		mayEnd := room == "cli" || room == "cmd/quorate"
		ast.Inspect(f.syntax, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					broken = append(broken, f.at(n)+": no init functions")
				}
			case *ast.SelectorExpr:
				imported, name := f.selected(n)
				ends := imported == "os" && name == "Exit" || imported == "log" && strings.HasPrefix(name, "Fatal")
				if ends && !mayEnd {
					broken = append(broken, fmt.Sprintf("%s: %s.%s ends the process; only cli and cmd may", f.at(n), imported, name))
				}
			}
			return true
		})
	}
	return broken
}
