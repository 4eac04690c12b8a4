package cli

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// op is what bench calls.
type op uint8

const (
	opPut op = iota
	opGet
	opInc
	opsKnown = iota
)

// String is how a person writes it.
func (o op) String() string { return [opsKnown]string{"put", "get", "inc"}[o] }

// operation is the name of the operation behind it.
func (o op) operation() string { return [opsKnown]string{"PUT", "GET", "INC"}[o] }

// writes says that a call which was lost may have taken effect.
func (o op) writes() bool { return o != opGet }

// weightMax bounds the weight of one op, so that sums are those of numbers.
const weightMax = 1_000_000

// mix is what to call, and in which proportion.
type mix []share

// share is an op and its weight.
type share struct {
	op     op
	weight uint64
}

// String is the mix as it can be typed.
func (m mix) String() string {
	if len(m) == 1 {
		return m[0].op.String()
	}
	var words []string
	for _, s := range m {
		words = append(words, fmt.Sprintf("%v=%d", s.op, s.weight))
	}
	return strings.Join(words, ",")
}

// parseMix reads ops with their weights, which are 1 where none is given.
func parseMix(words []string) (m mix, err error) {
	for _, word := range words {
		s, err := parseShare(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(m, func(other share) bool { return other.op == s.op }) {
			return nil, fmt.Errorf("%v is there twice", s.op)
		}
		m = append(m, s)
	}
	if len(m) == 0 {
		return nil, errors.New("it names nothing to call")
	}
	return m, nil
}

func parseShare(word string) (s share, err error) {
	name, number, weighted := strings.Cut(word, "=")
	var names []string
	for o := range op(opsKnown) {
		names = append(names, o.String())
	}
	at := slices.Index(names, name)
	if at < 0 {
		return s, fmt.Errorf("%.40q is none of %s", name, strings.Join(names, ", "))
	}
	s = share{op: op(at), weight: 1}
	if weighted {
		s.weight, err = strconv.ParseUint(number, 10, 64)
		if err != nil || s.weight == 0 || s.weight > weightMax {
			return s, fmt.Errorf("the weight of %s is %.40q: it may be 1 to %d", name, number, weightMax)
		}
	}
	return s, nil
}

// total is the sum of the weights.
func (m mix) total() (sum uint64) {
	for _, s := range m {
		sum += s.weight
	}
	return sum
}

// at is the op that a number below the total falls to.
func (m mix) at(n uint64) op {
	for _, s := range m {
		if n < s.weight {
			return s.op
		}
		n -= s.weight
	}
	return m[0].op
}
