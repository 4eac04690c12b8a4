package kv

import (
	"errors"
	"math/big"
	"strconv"
	"strings"

	"github.com/quorate/quorate"
)

// Number is the text of a number: digits with or without a point and an
// exponent, digits of base 16 behind 0x, or inf. In JSON it is a number or a
// string.
type Number string

// UnmarshalJSON reads a JSON number, or a string that holds a number.
func (n *Number) UnmarshalJSON(raw []byte) error {
	text := string(raw)
	if raw[0] == '"' {
		var v quorate.Value
		if err := v.UnmarshalJSON(raw); err != nil {
			return err
		}
		text = v.Text()
	}
	if _, ok := parseNumber(text); !ok {
		return errors.New("is no number, or one that is too large")
	}
	*n = Number(text)
	return nil
}

// Check refuses what is no number.
func (n Number) Check() error {
	if _, ok := parseNumber(string(n)); !ok {
		return quorate.Errorf(quorate.Invalid, "%.64q is no number, or one that is too large", string(n))
	}
	return nil
}

// Redis on amd64 computes with the long double of the x87: 64 bits of mantissa
// and exponents to 2^16384. So that sums are the same here, digit by digit,
// numbers are read, added and written with exactly these.
const (
	mantissaBits = 64
	exponentMax  = 16384
	// exponentMin is that of half the smallest number there is, which is 0 when
	// it is rounded.
	exponentMin = -16446
	// numberBytesMax bounds the text of a number in Redis.
	numberBytesMax = 5<<10 - 1
	// decimalsMax is how many decimals are written.
	decimalsMax = 17
)

// parseNumber reads the text of a number as strtold does, and refuses what
// Redis refuses: what is over the largest number, and what is so small that it
// would be zero.
func parseNumber(text string) (*big.Float, bool) {
	if len(text) > numberBytesMax {
		return nil, false
	}
	rest, negative := strings.CutPrefix(text, "-")
	if !negative {
		rest = strings.TrimPrefix(text, "+")
	}
	f, ok := parsePositive(strings.Map(lower, rest))
	if ok && negative {
		f.Neg(f)
	}
	return f, ok
}

// lower is a letter of ASCII in lower case, and anything else as it is.
func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r - 'A' + 'a'
	}
	return r
}

func parsePositive(text string) (*big.Float, bool) {
	if text == "inf" || text == "infinity" {
		return newNumber().SetInf(false), true
	}
	base, mark := 10, "e"
	if digits, ok := strings.CutPrefix(text, "0x"); ok {
		text, base, mark = digits, 16, "p"
	}
	text, exponent, ok := cutExponent(text, mark)
	if !ok {
		return nil, false
	}
	whole, fraction, _ := strings.Cut(text, ".")
	digits, ok := parseDigits(whole+fraction, base)
	switch {
	case !ok:
		return nil, false
	case digits.Sign() == 0:
		return newNumber(), true
	case base == 16:
		const bitsEach = 4
		return bounded(newNumber().SetMantExp(newNumber().SetInt(digits), exponent-bitsEach*len(fraction)))
	}
	return scaled(digits, exponent-len(fraction))
}

// cutExponent splits an exponent off, which is 0 if there is none. One that is
// out of all bounds is bounded.
func cutExponent(text, mark string) (mantissa string, exponent int, ok bool) {
	mantissa, written, found := strings.Cut(text, mark)
	if !found {
		return text, 0, true
	}
	digits := strings.TrimLeft(written, "+-")
	if digits == "" || len(written)-len(digits) > 1 || strings.Trim(digits, "0123456789") != "" {
		return "", 0, false
	}
	// Far more than any number of numberBytesMax digits can make up for.
	const bound = 16 * numberBytesMax
	exponent, err := strconv.Atoi(digits)
	if err != nil || exponent > bound {
		exponent = bound
	}
	if written[0] == '-' {
		exponent = -exponent
	}
	return mantissa, exponent, true
}

// parseDigits reads digits of a base and nothing else.
func parseDigits(digits string, base int) (*big.Int, bool) {
	if digits == "" || strings.Trim(digits, "0123456789abcdef"[:base]) != "" {
		return nil, false
	}
	return new(big.Int).SetString(digits, base)
}

// scaled is digits times a power of ten, rounded once.
func scaled(digits *big.Int, exponent int) (*big.Float, bool) {
	// Outside of these bounds, which are powers of ten, it need not be computed.
	const tenMax, tenMin = 4933, -4952
	if size := len(digits.String()) + exponent; size > tenMax+1 || size < tenMin-1 {
		return nil, false
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exponent, -exponent))), nil)
	if exponent >= 0 {
		return bounded(newNumber().SetInt(digits.Mul(digits, power)))
	}
	// Both are exact, so that only the quotient is rounded.
	return bounded(newNumber().Quo(new(big.Float).SetInt(digits), new(big.Float).SetInt(power)))
}

func newNumber() *big.Float { return new(big.Float).SetPrec(mantissaBits) }

// bounded refuses what has no place between the smallest and the largest
// number.
func bounded(f *big.Float) (*big.Float, bool) {
	// A number is mantissa * 2^exponent, with a mantissa from 0.5 to below 1.
	exponent := f.MantExp(nil)
	if exponent > exponentMax || exponent <= exponentMin {
		return nil, false
	}
	if exponent == exponentMin+1 && f.MinPrec() == 1 {
		return nil, false // half the smallest number, just
	}
	return f, true
}

// add is the sum of two numbers, if it is finite.
func add(a, b *big.Float) (*big.Float, bool) {
	if a.IsInf() || b.IsInf() {
		return nil, false
	}
	sum := newNumber().Add(a, b)
	return sum, sum.MantExp(nil) <= exponentMax
}

// formatNumber writes a number with as many decimals as it needs, at most 17.
func formatNumber(f *big.Float) string {
	text := strings.TrimRight(f.Text('f', decimalsMax), "0")
	text = strings.TrimSuffix(text, ".")
	if text == "-0" {
		return "0"
	}
	return text
}
