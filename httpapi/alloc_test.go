//go:build !race

// With the race detector on, a pool of memory forgets some of it on purpose.

package httpapi_test

import (
	"io"
	"testing"

	"github.com/quorate/quorate"
)

// A request and its answer cost the door, with the standard server around it, so
// many allocations and no more.
func TestARequestAllocatesLittle(t *testing.T) {
	c := mustConnect(t, quorate.Value{})
	packet := "POST /put HTTP/1.1\r\nHost: localhost\r\nContent-Length: 31\r\n\r\n" + `{"key":"key","value":"1234567"}`
	answer := mustAsk(t, c, packet)
	got := testing.AllocsPerRun(500, func() {
		if _, err := io.WriteString(c, packet); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(c, answer); err != nil {
			t.Error(err)
		}
	})
	if got > allocsMax {
		t.Errorf("a request allocates %v times, want %d", got, allocsMax)
	}
}

// allocsMax is that of one request. More than half are of net/http.
const allocsMax = 49
