// Command quorate runs and uses a replicated service of keys, values and
// counters.
package main

import (
	"github.com/quorate/quorate/cli"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/kv/redis"
)

func main() { cli.Main(kv.Service, cli.Redis(redis.Table())) }
