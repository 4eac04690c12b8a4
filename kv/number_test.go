package kv_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

// sum is what INCFLOAT makes of a text that is there and another, or the code
// of its error.
func sum(t *testing.T, was, by string) string {
	t.Helper()
	on := memory.New(kv.Service)
	if _, err := quorate.Do(t.Context(), on, kv.Put{Key: "k", Value: values.Bytes(was)}); err != nil {
		t.Fatal(err)
	}
	value, err := quorate.Do(t.Context(), on, kv.IncFloat{Key: "k", By: kv.Number(by)})
	if err != nil {
		return string(quorate.CodeOf(err))
	}
	return value.String()
}

// The sums are those of redis-server 7.0.15 on amd64.
func TestSumsAreThoseOfRedis(t *testing.T) {
	for _, c := range []struct{ was, by, want string }{
		{"0.1", "0.2", "0.3"}, {"10.50", "0.1", "10.6"}, {"5.0e3", "2.0e2", "5200"}, {"3.0", "-4", "-1"},
		{"-0", "0", "0"}, {"0", "-0", "0"}, {"-0", "-0", "0"}, {"+5", "+.5", "5.5"}, {"5.", "1e0", "6"}, {"1E2", "-1e-1", "99.9"},
		{"9007199254740993", "0.5", "9007199254740993.5"}, {"9223372036854775807", "1", "9223372036854775808"},
		{"1e17", "0.01", "100000000000000000.0078125"}, {"3.14159265358979323846", "0", "3.14159265358979324"},
		{"0x10", "0x.8p1", "17"}, {"0xA", "0X1P-1", "10.5"}, {"1e-17", "0", "0.00000000000000001"}, {"1e-18", "0", "0"},
		{"-1e-18", "0", "0"}, {"1e-4950", "0", "0"}, {"1e30", "1", "1000000000000000000024696061952"},
		{"inf", "1", "overflow"}, {"1", "-infinity", "overflow"}, {"inf", "-inf", "overflow"}, {"1e4932", "1e4932", "overflow"},
		{"1e4933", "1", "wrong_type"}, {"1", "1e4933", "invalid"}, {"1e-4952", "1", "wrong_type"}, {"1", "-1e-999999999999", "invalid"},
		{"1", "1e99999999999999999999", "invalid"}, {"0e99999999999999999999", "1", "1"},
		{"", "1", "wrong_type"}, {"1", "", "invalid"}, {"nan", "1", "wrong_type"}, {"1", "nan", "invalid"}, {"1", " 1", "invalid"},
		{"1", "1 ", "invalid"}, {"1", "1\x00", "invalid"}, {"1", "1_000", "invalid"}, {"1", "1e", "invalid"}, {"1", "1e+", "invalid"},
		{"1", "1e+-1", "invalid"}, {"1", "--1", "invalid"}, {"1", "+-1", "invalid"}, {"1", ".", "invalid"}, {"1", "0x", "invalid"},
		{"1", "0x1p", "invalid"}, {"1", "1p1", "invalid"}, {"1", "1.2.3", "invalid"}, {"1", "İnf", "invalid"}, {"1", "0b1", "invalid"},
		{"1", strings.Repeat("0", 5119), "1"}, {"1", strings.Repeat("0", 5120), "invalid"},
		{"1", "0x1p16384", "invalid"}, {"1", "0x1p-16446", "invalid"}, {"1", "0x1.8p-16446", "1"},
	} {
		if got := sum(t, c.was, c.by); got != c.want {
			t.Errorf("%.40s + %.40s is %s, want %s", c.was, c.by, got, c.want)
		}
	}
}

// What a float64 adds exactly is added to the same here.
func TestSumsAreExactWhereAFloatIs(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("replay with -run %s -seed %d", t.Name(), *seed)
	r := rand.New(rand.NewPCG(*seed, 0))
	for range 2000 {
		// Multiples of 1/1024 below 2^40 have exact sums, and ten decimals.
		a, b := float64(r.Int64N(1<<50))/1024, -float64(r.Int64N(1<<50))/1024
		was, by := strconv.FormatFloat(a, 'f', 10, 64), strconv.FormatFloat(b, 'e', 25, 64)
		want := strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(a+b, 'f', 10, 64), "0"), ".")
		if got := sum(t, was, by); got != want {
			t.Fatalf("%s + %s is %s, want %s", was, by, got, want)
		}
	}
}

func TestSumOfNumbersOfAllSizesIsReadBack(t *testing.T) {
	for _, n := range []float64{math.MaxFloat64, -math.MaxFloat64, 1e-10, 123456.789} {
		text := strconv.FormatFloat(n, 'e', -1, 64)
		once := sum(t, text, "0")
		if again := sum(t, once, "0"); again != once {
			t.Errorf("%s is written as %.60s, and that as %.60s", text, once, again)
		}
	}
}
