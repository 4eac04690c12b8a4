package main

import (
	"os"
	"testing"

	"github.com/quorate/quorate/examples/internal/page"
)

func TestMain(m *testing.M) { os.Exit(page.Main(m, service)) }

func TestReadmeTellsWhatHappens(t *testing.T) { page.Run(t, service, "README.md") }
