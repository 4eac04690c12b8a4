package quoratetest

import (
	"testing"

	"github.com/quorate/quorate"
)

// A copy goes on with a state that came as a snapshot as if nothing had happened.
func TestMovedStateIsTheSame(t *testing.T) {
	moved, stayed := Local(t, testOperations), Local(t, testOperations)
	for i, value := range []string{"1", "2", "3"} {
		if i == 1 {
			moved.move()
		}
		for _, c := range []*Copy{moved, stayed} {
			if _, err := quorate.Do(t.Context(), c, put{value, value}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if a, b := moved.machine.Meta(), stayed.machine.Meta(); a != b {
		t.Errorf("the moved state stands at %+v, the other at %+v", a, b)
	}
	got, err := quorate.Ask(t.Context(), moved, get{"1"})
	if got != "1" || err != nil {
		t.Errorf("before the move 1 was stored, and there is %q, %v", got, err)
	}
}

func TestEnvironmentGoesBeforeOptions(t *testing.T) {
	t.Setenv(seedVariable, "9")
	t.Setenv(forVariable, "7s")
	if e := effortOf(t, []Option{Seed(3), For(1), Callers(2), Members(5), Calls(6)}); e.seed != 9 || e.span.Seconds() != 7 || e.callers != 2 || e.nodes != 5 || e.calls != 6 {
		t.Errorf("the effort is %+v", e)
	}
	t.Setenv(seedVariable, "0")
	if a, b := effortOf(t, nil), effortOf(t, nil); a.seed == 0 || a.seed == b.seed {
		t.Errorf("0 draws %d and %d", a.seed, b.seed)
	}
	for _, variable := range []string{seedVariable, forVariable} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, "soon")
			if found := Fails(func(t testing.TB) { effortOf(t, nil) }); len(found) != 1 {
				t.Errorf("the test says %q", found)
			}
		})
	}
}
