//go:build quoratedebug

package respapi

import (
	"math"
	"strconv"
	"time"
)

const debugBuild = true

// debugged answers DEBUG SLEEP <seconds>: this connection says nothing for so
// long.
func debugged(c *conn, args [][]byte) bool {
	if len(args) != 3 || !is(args[1], "SLEEP") {
		return false
	}
	seconds, err := strconv.ParseFloat(string(args[2]), 64)
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > timeoutMax.Seconds() {
		return false
	}
	select {
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	case <-c.server.base.Done():
	}
	c.ok()
	return true
}
