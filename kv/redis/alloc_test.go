//go:build !race

// With the race detector on, a pool of memory forgets some of it on purpose.

package redis_test

import (
	"bytes"
	"testing"
)

// What the door allocates for a packet of plain commands does not depend on how
// many they are: three pieces for all that the reader makes, and one for the
// calls. An increment has a list of its own, with what it adds.
func TestPlainCommandsAllocateOncePerPacket(t *testing.T) {
	const packets = 200
	for _, u := range usual {
		for _, pipeline := range []int{1, 64} {
			c := mustConnect(t, u.value)
			packet := bytes.Repeat(packetOf(u.name, u.args...), pipeline)
			answers := make([]byte, pipeline*len(u.answer))
			got := testing.AllocsPerRun(packets, func() { mustExchange(t, c, packet, answers) })
			want := 4.0
			if u.name == "INCR" {
				want += float64(pipeline)
			}
			if got > want+1 { // one for what happens once in a while, such as a context
				t.Errorf("%d of %s allocate %v times, want %v", pipeline, u.name, got, want)
			}
			if want := bytes.Repeat([]byte(u.answer), pipeline); !bytes.Equal(answers, want) {
				t.Errorf("%s is answered %q", u.name, answers)
			}
		}
	}
}
