package lint_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"slices"
	"strings"
)

// checkComments finds exported declarations without a comment.
func checkComments(files []file) (broken []string) {
	for _, f := range files {
		if f.test {
			continue
		}
		for _, decl := range f.syntax.Decls {
			for _, name := range uncommented(decl) {
				broken = append(broken, fmt.Sprintf("%s: exported %s has no comment", f.at(decl), name))
			}
		}
	}
	return broken
}

func uncommented(decl ast.Decl) []string {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if d.Doc == nil && d.Name.IsExported() && reachable(d) {
			return []string{d.Name.Name}
		}
	case *ast.GenDecl:
		return uncommentedSpecs(d)
	}
	return nil
}

// reachable says that a function is no method, or one of an exported type.
func reachable(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	receiver := d.Recv.List[0].Type
	for {
		switch r := receiver.(type) {
		case *ast.StarExpr:
			receiver = r.X
		case *ast.IndexExpr:
			receiver = r.X
		case *ast.IndexListExpr:
			receiver = r.X
		case *ast.Ident:
			return r.IsExported()
		default:
			return true
		}
	}
}

// uncommentedSpecs goes through a group. The comment of a group speaks for
// its constants and variables, but not for several types.
func uncommentedSpecs(d *ast.GenDecl) (names []string) {
	for _, spec := range d.Specs {
		switch s := spec.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && s.Doc == nil && (d.Doc == nil || d.Lparen != token.NoPos) {
				names = append(names, s.Name.Name)
			}
		case *ast.ValueSpec:
			for _, name := range s.Names {
				if name.IsExported() && s.Doc == nil && s.Comment == nil && d.Doc == nil {
					names = append(names, name.Name)
				}
			}
		}
	}
	return names
}

// checkPackageComments finds packages that do not say what they are for.
func checkPackageComments(files []file) (broken []string) {
	said := make(map[string]bool)
	for _, f := range files {
		name := f.syntax.Name.Name
		said[f.folder] = said[f.folder] || !f.test && f.syntax.Doc != nil &&
			(name == "main" || strings.HasPrefix(f.syntax.Doc.Text(), "Package "+name+" "))
	}
	for _, folder := range slices.Sorted(maps.Keys(said)) {
		if !said[folder] {
			broken = append(broken, fmt.Sprintf("%s: no package comment that begins with its name", folder))
		}
	}
	return broken
}
