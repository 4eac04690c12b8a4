// Command guide is the program of docs/GUIDE.md: the tickets, with names and a
// line that can be looked at.
package main

import (
	"github.com/quorate/quorate/cli"
	"github.com/quorate/quorate/examples/guide/queue"
)

func main() { cli.Main(queue.Service) }
