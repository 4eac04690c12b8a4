package quoratetest_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

func TestCheckDeterminismNamesWhatIsNot(t *testing.T) {
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			mustBeTold(t, lie.want, func(t testing.TB) {
				quoratetest.CheckDeterminism(t, liars, func(*rand.Rand) any { return lie.call })
			})
		})
	}
}

// It takes a second of real time for a clock that is read in seconds to move on;
// in a bubble it takes none, and there a clock stands still while a command runs.
func TestCheckDeterminismSeesAClockThatIsReadInSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mustBeTold(t, `command SECONDS "a" is not deterministic: on the same state it wrote key "seen/a" with "946684800" on the first copy and "946684801" on the second copy`, func(t testing.TB) {
			quoratetest.CheckDeterminism(t, liars, func(*rand.Rand) any { return readsSeconds{"a"} })
		})
	})
}

// asks is a query that goes by the order of a map.
type asks struct{}

func (asks) Read(*quorate.View) (string, error) { return returnsMap{}.Apply(nil) }

func TestCheckDeterminismLooksAtQueriesToo(t *testing.T) {
	service := quorate.Define("queries", quorate.Read[asks]("ASK"))
	mustBeTold(t, `query ASK is not deterministic: on the same state it returned "`, func(t testing.TB) {
		quoratetest.CheckDeterminism(t, service, func(*rand.Rand) any { return asks{} })
	})
}

func TestCheckDeterminismTellsHowToRunItAgain(t *testing.T) {
	mustBeTold(t, "seed 7; again: QUORATETEST_SEED=7 go test -run '^TestOfAUser$' -count=1", func(t testing.TB) {
		quoratetest.CheckDeterminism(t, liars, func(*rand.Rand) any { return draws{"a"} }, quoratetest.Seed(7), quoratetest.Calls(1))
	})
	t.Setenv("QUORATETEST_SEED", "8")
	mustBeTold(t, "seed 8; again: QUORATETEST_SEED=8 ", func(t testing.TB) {
		quoratetest.CheckDeterminism(t, liars, func(*rand.Rand) any { return draws{"a"} }, quoratetest.Seed(7))
	})
}

func TestCheckDeterminismOfASoundServiceSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quoratetest.CheckDeterminism(t, bank, banking)
	})
}

func TestGeneratorOfNoCallIsToldAtOnce(t *testing.T) {
	mustBeTold(t, "the generator returned {Name:a}, which service bank refuses before the log", func(t testing.TB) {
		quoratetest.CheckDeterminism(t, bank, func(*rand.Rand) any { return draws{"a"} })
	})
	mustBeTold(t, "the generator returned a int", func(t testing.TB) {
		quoratetest.CheckDeterminism(t, bank, func(*rand.Rand) any { return 5 })
	})
}

func TestSeedDecidesTheCalls(t *testing.T) {
	drawn := func(seed uint64) string {
		var names strings.Builder
		quoratetest.Fails(func(t testing.TB) {
			quoratetest.CheckDeterminism(t, liars, func(r *rand.Rand) any {
				name := string(rune('a' + r.IntN(26)))
				names.WriteString(name)
				return draws{name}
			}, quoratetest.Seed(seed), quoratetest.Calls(50))
		})
		return names.String()
	}
	if a, b, c := drawn(3), drawn(3), drawn(4); a != b || a == c {
		t.Errorf("seed 3 draws %q and %q, and seed 4 %q", a, b, c)
	}
}
