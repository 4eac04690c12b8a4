package kv

import (
	"iter"
	"strings"

	"github.com/quorate/quorate"
)

// Scan returns a page of keys in the order of their bytes. The caller goes on
// behind Next while there are More. Each page shows one moment of the state; a
// key that is there from the first page to the last is on exactly one of them.
type Scan struct {
	// Prefix is what the keys begin with.
	Prefix Key `default:""`
	// After is the key behind which to begin: Next of the page before.
	After Key `default:""`
	// Limit is how many keys a page has at most, and at most ScanMax. 0 stands
	// for 100. A page may have fewer, even none, where there are more.
	Limit int64 `default:"0"`
	// Values shows the values too.
	Values bool `default:"false"`
	// Pattern, if not empty, shows only the keys that it matches: ? is any byte,
	// * any bytes, [ab0-9] one of some, [^a] any other, and \ takes what follows
	// as it is.
	Pattern []byte `default:""`
}

// Page is what one Scan shows.
type Page struct {
	Keys []Key
	// Values is empty, or one for each key.
	Values []quorate.Value
	// Next is the key behind which the next page begins.
	Next Key
	More bool
}

// ScanMax bounds the keys on one page.
const ScanMax = 10_000

const (
	scanPreset = 100
	// scanVisitsMax bounds the keys that a page looks at, of which a pattern may
	// match none: some 10 ms.
	scanVisitsMax = 10_000
	// pageBytesMax is when a page ends although it has fewer keys than it may.
	// One key and one value more are on it: half of what a result holds.
	pageBytesMax = resultBytesMax / 2
	// patternBytesMax bounds a pattern. What is longer than the longest key
	// could match one, but nobody writes it.
	patternBytesMax = quorate.KeyBytesMax
	// compareMax is when a page ends because of its pattern: the bytes of the
	// pattern times those of the keys, which is what the worst pattern compares.
	// It is a tenth of a second; a pattern of 20 bytes and keys of 100 stay far
	// below.
	compareMax = 1 << 26
)

const _ = uint(resultBytesMax - pageBytesMax - quorate.KeyBytesMax - quorate.ValueBytesMax)

// Check refuses what is over a limit.
func (s Scan) Check() error {
	switch {
	case s.Limit < 0 || s.Limit > ScanMax:
		return quorate.Errorf(quorate.Invalid, "a limit of %d is not between 1 and %d", s.Limit, ScanMax)
	case len(s.Pattern) > patternBytesMax:
		return quorate.Errorf(quorate.TooLarge, "a pattern of %d bytes is over the limit of %d", len(s.Pattern), patternBytesMax)
	}
	return checkLength(s.Prefix, s.After)
}

// Read implements quorate.Query.
func (s Scan) Read(view *quorate.View) (Page, error) {
	if s.Limit == 0 {
		s.Limit = scanPreset
	}
	var (
		page                    Page
		visits, bytes, compared int
	)
	for name, record := range s.span().scan(view) {
		if int64(len(page.Keys)) == s.Limit || visits == scanVisitsMax || bytes >= pageBytesMax || compared >= compareMax {
			page.More = true
			break
		}
		visits++
		compared += len(s.Pattern) * len(name)
		page.Next = Key(name[len(table):])
		if len(s.Pattern) > 0 && !Match(s.Pattern, name[len(table):]) {
			continue
		}
		page.Keys = append(page.Keys, page.Next)
		bytes += len(page.Next)
		if !s.Values {
			continue
		}
		value, _, err := decode(name, record)
		if err != nil {
			return Page{}, err
		}
		page.Values = append(page.Values, value)
		bytes += len(value.Text())
	}
	return page, nil
}

// span is where the keys are that a scan may show. What a pattern begins with
// narrows it down.
func (s Scan) span() span {
	from := span{prefix: s.Prefix, after: s.After}
	if literal := literalPrefix(s.Pattern); strings.HasPrefix(string(literal), string(s.Prefix)) {
		from.prefix = literal
	}
	return from
}

// Size counts keys, a part of them with each query: the caller goes on behind
// Next while there are More, and adds up.
type Size struct {
	// Prefix is what the keys begin with.
	Prefix Key `default:""`
	// After is the key behind which to begin.
	After Key `default:""`
	// Limit is how many keys are counted at most, and at most SizeMax. 0 stands
	// for that.
	Limit int64 `default:"0"`
	// Expiring counts those that end too.
	Expiring bool `default:"false"`
}

// Count is what one Size came to.
type Count struct {
	Keys int64
	// Expiring is how many of them end, if it was asked for.
	Expiring int64
	Next     Key
	More     bool
}

// SizeMax bounds the keys that one Size counts: some 50 ms.
const SizeMax = 100_000

// Check refuses what is over a limit.
func (s Size) Check() error {
	if s.Limit < 0 || s.Limit > SizeMax {
		return quorate.Errorf(quorate.Invalid, "a limit of %d is not between 1 and %d", s.Limit, SizeMax)
	}
	return checkLength(s.Prefix, s.After)
}

// Read implements quorate.Query.
func (s Size) Read(view *quorate.View) (Count, error) {
	if s.Limit == 0 {
		s.Limit = SizeMax
	}
	var count Count
	from := span{prefix: s.Prefix, after: s.After}
	for name := range from.scan(view) {
		if count.Keys == s.Limit {
			count.More = true
			break
		}
		count.Keys++
		count.Next = Key(name[len(table):])
		if !s.Expiring {
			continue
		}
		if _, ends := view.End(name); ends {
			count.Expiring++
		}
	}
	return count, nil
}

// span is a part of the keys: those that begin with a prefix and stand behind
// another key.
type span struct{ prefix, after Key }

// scan yields names and records of the span.
func (s span) scan(view *quorate.View) iter.Seq2[[]byte, []byte] {
	start := s.prefix.name(view)
	end := behind(start)
	if s.after != "" && s.after >= s.prefix {
		start = append(s.after.name(view), 0)
	}
	return view.Scan(start, end)
}

// behind is the first name behind all that begin with a prefix. There is one,
// since the prefix begins with the table.
func behind(prefix []byte) []byte {
	end := append([]byte{}, prefix...)
	for end[len(end)-1] == 0xff {
		end = end[:len(end)-1]
	}
	end[len(end)-1]++
	return end
}

// checkLength refuses what is longer than a key. It may be empty.
func checkLength(keys ...Key) error {
	for _, key := range keys {
		if key == "" {
			continue
		}
		if err := key.check(); err != nil {
			return err
		}
	}
	return nil
}
