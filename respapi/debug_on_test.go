//go:build quoratedebug

package respapi_test

import (
	"testing"
	"time"

	"github.com/quorate/quorate/respapi"
)

const debugBuild = true

func TestDebugSleepsOneConnection(t *testing.T) {
	_, address := mustServe(t, respapi.Config{})
	c, other := mustDial(t, address), mustDial(t, address)
	begin := time.Now()
	c.send("DEBUG SLEEP 0.2")
	other.mustAnswer("PING", "+PONG")
	if v := show(c.read()); v != "+OK" || time.Since(begin) < 200*time.Millisecond {
		t.Errorf("answered %s after %v", v, time.Since(begin))
	}
	c.mustAnswer("DEBUG SLEEP x", "-ERR unknown subcommand or wrong number of arguments for 'SLEEP'. Try DEBUG HELP.")
}
