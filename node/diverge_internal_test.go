package node

import (
	"testing"

	"github.com/quorate/quorate/internal/machine"
)

func TestAPollIsDecidedWhenNothingThatIsStillToBeSaidMatters(t *testing.T) {
	const own, other, third = 1, 2, 3
	hash, since := func(h uint64) statement { return statement{saysHash, h} }, statement{saysSince, 9}
	later := statement{saysLater, 4}
	for _, c := range []struct {
		name     string
		voters   int
		said     []statement
		decided  bool
		majority uint64 // 0 is none
	}{
		{"a node alone", 1, nil, true, own},
		{"nobody has said anything", 3, nil, false, 0},
		{"one agrees", 3, []statement{hash(own)}, true, own},
		{"one contradicts", 3, []statement{hash(other)}, false, 0},
		{"all contradict", 3, []statement{hash(other), hash(other)}, true, other},
		{"no two are the same", 3, []statement{hash(other), hash(third)}, true, 0},
		{"one is late", 3, []statement{hash(other), later}, false, 0},
		{"one has forgotten, and one is silent", 3, []statement{since}, false, 0},
		{"one has forgotten, and one contradicts", 3, []statement{since, hash(other)}, true, 0},
		{"two of five agree", 5, []statement{hash(own), hash(own)}, true, own},
		{"one of five agrees", 5, []statement{hash(own)}, false, 0},
		{"three of five have forgotten", 5, []statement{since, since, since}, true, 0},
		{"two of four agree, which is no majority", 4, []statement{hash(own), hash(other)}, false, 0},
		{"four in two halves", 4, []statement{hash(own), hash(other), hash(other)}, true, 0},
	} {
		p := &poll{voters: c.voters, hashes: map[uint64]int{own: 1}, silent: c.voters - 1}
		for _, s := range c.said {
			p.take(s)
		}
		if p.decided() != c.decided {
			t.Errorf("%s: decided is %v", c.name, p.decided())
		}
		if got, ok := p.majority(); ok != (c.majority != 0) || ok && got != c.majority {
			t.Errorf("%s: the majority is %d, %v", c.name, got, ok)
		}
	}
}

func TestQuestionsAndStatementsReadBack(t *testing.T) {
	q := question{1<<63 + 5, 1<<62 + 7}
	body := q.append(nil)
	if got, err := readQuestion(body); err != nil || got != q {
		t.Errorf("%+v is read as %+v, %v", q, got, err)
	}
	for n := range len(body) {
		if _, err := readQuestion(body[:n]); err == nil {
			t.Errorf("%d bytes are a question", n)
		}
	}
	for _, s := range []statement{{saysHash, 1<<63 + 5}, {saysLater, 0}, {saysSince, 7}} {
		body := s.append(nil)
		if got, err := readStatement(body); err != nil || got != s {
			t.Errorf("%+v is read as %+v, %v", s, got, err)
		}
		if _, err := readStatement(body[:8]); err == nil {
			t.Error("8 bytes are a statement")
		}
	}
	if _, err := readStatement(statement{saysSince + 1, 0}.append(nil)); err == nil {
		t.Error("what nobody says is a statement")
	}
}

func TestWhatANodeSaysOfAnIndex(t *testing.T) {
	here := machine.Recalled{Since: 10, Newest: 20}
	for index, want := range map[uint64]statement{5: {saysSince, 10}, 15: {saysSince, 16}, 20: {saysSince, 21}, 21: {saysLater, 20}} {
		if got := statementOf(index, here); got != want {
			t.Errorf("of %d it says %+v, want %+v", index, got, want)
		}
	}
	here.Known, here.Hash = true, 99
	if got := statementOf(15, here); got != (statement{saysHash, 99}) {
		t.Errorf("of what it knows it says %+v", got)
	}
}
