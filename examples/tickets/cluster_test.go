package main

import (
	"testing"
	"testing/synctest"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

func TestTicketsGoOnWithoutTheirLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := quoratetest.Cluster(t, service, 3)
		for want := range int64(9) {
			leader := c.Leader()
			ticket, err := quorate.Do(t.Context(), c, Take{Queue: "visa"})
			if ticket != want+1 || err != nil {
				t.Fatalf("ticket %d, %v, want %d", ticket, err, want+1)
			}
			if want%3 == 2 {
				c.Kill(leader)
				c.Leader()
				c.Start(leader)
			}
		}
	})
}
