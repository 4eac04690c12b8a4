package usage

import (
	"testing"
	"time"
)

func TestCountsOfADiskAreUnderstood(t *testing.T) {
	got, ok := parseDisk([]byte("   100 0 800 20   50 7 1600 30  0 10 50 0 0 0 0 1 2\n"))
	if !ok || got != 1600*512 {
		t.Errorf("got %d, %t", got, ok)
	}
	if _, ok := parseDisk([]byte("1 2 3")); ok {
		t.Error("three numbers were understood")
	}
}

func TestTimesOfTheMachineAreUnderstood(t *testing.T) {
	got, err := parseMachine([]byte("cpu  100 10 50 9999 888 5 15 20 0 0\ncpu0 1 2 3\n"))
	if want := 2 * time.Second; err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := parseMachine([]byte("intr 1 2 3 4 5 6 7 8 9\n")); err == nil {
		t.Error("another line was understood")
	}
}

func TestOwnTimeIsWithinThatOfTheMachine(t *testing.T) {
	own := Own()
	if machine, ok := Machine(); !ok || own <= 0 || own > machine {
		t.Errorf("this process took %v of %v, %t", own, machine, ok)
	}
}
