package redis

import (
	"hash/fnv"
	"strconv"
	"strings"
	"sync"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/respapi"
)

// scans are the commands SCAN of all clients.
type scans struct{ positions *positions }

// scan is what the arguments of SCAN say.
type scan struct {
	after   kv.Key
	count   int64
	pattern []byte // nil for all keys
	// nothing says that no key can be shown: those of another type.
	nothing bool
}

// scanPreset is how many keys Redis looks at if nobody says.
const scanPreset = 10

// call is SCAN cursor [MATCH pattern] [COUNT count] [TYPE type].
func (s *scans) call(args [][]byte) (quorate.Call, error) {
	scan, err := s.read(args)
	if err != nil {
		return quorate.Call{}, err
	}
	count := strconv.AppendInt(nil, scan.count, 10)
	return call("SCAN", nil, []byte(scan.after), count, nil, scan.pattern)
}

func (s *scans) read(args [][]byte) (scan, error) {
	cursor, err := readCursor(args[0])
	if err != nil {
		return scan{}, err
	}
	made, err := readScan(args[1:])
	if err != nil {
		return scan{}, err
	}
	var known bool
	if made.after, known = s.positions.at(cursor); !known {
		return scan{}, errCursor
	}
	return made, nil
}

// readScan reads the options of SCAN. Of one that stands there twice the last
// counts.
func readScan(args [][]byte) (scan, error) {
	made := scan{count: scanPreset}
	for i := 0; i < len(args); i += 2 {
		if i+1 == len(args) {
			return scan{}, errSyntax
		}
		switch word(args[i]) {
		case "COUNT":
			count, err := parseInt(args[i+1])
			if err != nil {
				return scan{}, err
			}
			if count < 1 {
				return scan{}, errSyntax
			}
			made.count = min(count, kv.ScanMax)
		case "MATCH":
			made.pattern = args[i+1]
		case "TYPE":
			made.nothing = word(args[i+1]) != strings.ToUpper(typeString)
		default:
			return scan{}, errSyntax
		}
	}
	// The empty pattern matches only the empty key.
	made.nothing = made.nothing || made.pattern != nil && len(made.pattern) == 0
	if string(made.pattern) == "*" {
		made.pattern = nil
	}
	return made, nil
}

// reply answers the cursor behind the page, and the page.
func (s *scans) reply(args [][]byte, reply quorate.Reply) resp.Value {
	return answer(func(v quorate.Value) resp.Value {
		var page kv.Page
		if err := v.Into(&page); err != nil {
			return respapi.Failure(err)
		}
		if made, err := readScan(args[1:]); err == nil && made.nothing {
			page = kv.Page{}
		}
		var cursor uint64
		if page.More {
			cursor = s.positions.cursor(page.Next)
		}
		keys := make([]resp.Value, len(page.Keys))
		for i, key := range page.Keys {
			keys[i] = resp.BulkValue(string(key))
		}
		return resp.ArrayValue(resp.BulkValue(strconv.FormatUint(cursor, 10)), resp.ArrayValue(keys...))
	})(args, reply)
}

var errCursor = refuse("invalid cursor")

// readCursor reads a cursor as strtoul does, which Redis uses: it takes a sign,
// and the empty text for 0.
func readCursor(arg []byte) (uint64, error) {
	text, _, _ := strings.Cut(string(arg), "\x00")
	if text == "" {
		return 0, nil
	}
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(text, "+")
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		return 0, errCursor
	}
	if negative {
		n = -n
	}
	return n, nil
}

// positionsMax bounds the positions that are remembered. With the longest keys
// they take 64 MiB, with keys of 20 bytes 2 MiB.
const positionsMax = 16 << 10

// cursorBits is how large a cursor can be: clients that keep it in a double
// keep all of it.
const cursorBits = 53

// positions are the keys behind which scans go on, by their cursors. A cursor
// is made of the key and is no key itself, so a position that was forgotten is
// gone; the oldest is forgotten first.
type positions struct {
	mu    sync.Mutex // guards all below
	after map[uint64]kv.Key
	// ring is the cursors in the order in which they were given, from oldest on.
	ring   []uint64
	oldest int
}

func newPositions() *positions { return &positions{after: make(map[uint64]kv.Key)} }

// at is the position of a cursor, and whether it is known. 0 is the beginning.
func (p *positions) at(cursor uint64) (kv.Key, bool) {
	if cursor == 0 {
		return "", true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key, known := p.after[cursor]
	return key, known
}

// cursor remembers a position.
func (p *positions) cursor(key kv.Key) uint64 {
	hash := fnv.New64a()
	hash.Write([]byte(key)) // it cannot fail
	cursor := max(hash.Sum64()>>(64-cursorBits), 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		there, taken := p.after[cursor]
		if taken && there == key {
			return cursor
		}
		if !taken {
			break
		}
		cursor = max((cursor+1)%(1<<cursorBits), 1)
	}
	if len(p.ring) < positionsMax {
		p.ring = append(p.ring, cursor)
	} else {
		delete(p.after, p.ring[p.oldest])
		p.ring[p.oldest] = cursor
		p.oldest = (p.oldest + 1) % positionsMax
	}
	p.after[cursor] = key
	return cursor
}
