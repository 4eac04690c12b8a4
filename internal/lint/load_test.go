package lint_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// file is one Go file of the tree.
type file struct {
	path   string // from the root, with slashes
	folder string // of the file; "." for the root
	test   bool
	// imports is the import paths by the name under which the file uses them.
	imports map[string]string
	syntax  *ast.File
	set     *token.FileSet
}

// at is where a piece of syntax stands, for a message.
func (f file) at(node ast.Node) string {
	return fmt.Sprintf("%s:%d", f.path, f.set.Position(node.Pos()).Line)
}

// load parses every Go file below the root. Folders that are modules of their
// own, test data and hidden folders are not part of the house.
func load(tree fs.FS) ([]file, error) {
	var files []file
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if apart(tree, name) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		f, err := parse(tree, name)
		files = append(files, f)
		return err
	})
	return files, err
}

func apart(tree fs.FS, folder string) bool {
	base := path.Base(folder)
	if folder == "." {
		return false
	}
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(tree, path.Join(folder, "go.mod"))
	return err == nil
}

func parse(tree fs.FS, name string) (file, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return file{}, err
	}
	f := file{
		path:    name,
		folder:  path.Dir(name),
		test:    strings.HasSuffix(name, "_test.go"),
		imports: make(map[string]string),
		set:     token.NewFileSet(),
	}
	f.syntax, err = parser.ParseFile(f.set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return file{}, err
	}
	for i, spec := range f.syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return file{}, err
		}
		f.imports[importName(spec, imported, i)] = imported
	}
	return f, nil
}

// importName is the name under which a file uses an import. Dots and blanks
// may stand several times in one file, so their position makes them distinct.
func importName(spec *ast.ImportSpec, imported string, position int) string {
	if spec.Name == nil {
		base := path.Base(imported)
		if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
			base = path.Base(path.Dir(imported))
		}
		return base
	}
	if spec.Name.Name == "_" || spec.Name.Name == "." {
		return spec.Name.Name + strconv.Itoa(position)
	}
	return spec.Name.Name
}
