package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate/examples/guide/queue"
	"github.com/quorate/quorate/examples/internal/page"
)

const (
	root  = "../.."
	guide = root + "/docs/GUIDE.md"
)

func TestMain(m *testing.M) { os.Exit(page.Main(m, queue.Service)) }

func TestGuideTellsWhatHappens(t *testing.T) { page.Run(t, queue.Service, guide) }

func TestListingsOfTheGuideCompile(t *testing.T) { page.CheckListings(t, root, guide) }

// The four counters, in the order of the columns of the table.
var counters = []string{"etcd", "dragonboat", "hashicorp", "quorate"}

func TestTableCountsTheLinesOfTheCounters(t *testing.T) {
	content, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile(`(?m)^\| lines of code \|(.*)\|$`).FindStringSubmatch(string(content))
	if row == nil {
		t.Fatal("the guide has no table with a row of lines of code")
	}
	told := strings.Split(row[1], "|")
	if len(told) != len(counters) {
		t.Fatalf("the row has %d columns, want %d", len(told), len(counters))
	}
	for i, name := range counters {
		want := strconv.Itoa(page.CodeLines(t, root+"/bench/counter/"+name+"/main.go"))
		if got := strings.Trim(told[i], " *"); got != want {
			t.Errorf("the guide tells of %s lines on %s, and there are %s", got, name, want)
		}
	}
}

// linesMax is how long an example may be, with its comments and without tests.
const linesMax = 150

func TestExamplesAreShort(t *testing.T) {
	names := []string{"tickets", "bank", "idgen", "limiter", "locks", "reference"}
	for _, name := range names {
		files, err := filepath.Glob(filepath.Join("..", name, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files of %s: %v", name, err)
		}
		lines := 0
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasSuffix(file, "_test.go") {
				lines += strings.Count(string(content), "\n")
			}
		}
		if lines == 0 || lines > linesMax {
			t.Errorf("%s has %d lines, want at most %d", name, lines, linesMax)
		}
	}
}
