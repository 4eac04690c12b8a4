// Command quorate runs and uses a replicated service of keys, values and
// counters.
package main

import (
	"github.com/quorate/quorate/cli"
	"github.com/quorate/quorate/kv"
)

func main() { cli.Main(kv.Service) }
