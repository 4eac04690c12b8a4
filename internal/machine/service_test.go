package machine_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/values"
)

// service has a command for each thing that a command may do.
var service = quorate.Define("test",
	quorate.Write[put]("PUT"),
	quorate.Read[get]("GET"),
	quorate.Write[inc]("INC"),
	quorate.Write[fail]("FAIL"),
	quorate.Write[boom]("BOOM"),
	quorate.Write[boomScan]("BOOMSCAN"),
	quorate.Write[total]("TOTAL"),
	quorate.Write[clearAll]("CLEAR"),
	quorate.Write[rotate]("ROTATE"),
	quorate.Write[dice]("DICE"),
	quorate.Read[now]("NOW"),
	quorate.Write[large]("LARGE"),
	quorate.Write[deep]("DEEP"),
	quorate.Read[deepRead]("DEEPREAD"),
	quorate.Write[flood]("FLOOD"),
	quorate.Read[count]("COUNT"),
	quorate.Read[boomRead]("BOOMREAD"),
	quorate.Write[hold]("HOLD"),
	quorate.Write[keep]("KEEP"),
	quorate.Read[left]("LEFT"),
	quorate.Write[revision]("REVISION"),
	quorate.Write[replace]("REPLACE"),
)

type put struct{ Key, Value string }

func (p put) Apply(tx *quorate.Tx) (string, error) {
	tx.Set([]byte(p.Key), []byte(p.Value))
	return p.Value, nil
}

type get struct{ Key string }

func (g get) Read(v *quorate.View) (string, error) {
	value, ok := v.Get([]byte(g.Key))
	if !ok {
		return "", quorate.Errorf(quorate.NotFound, "there is no %s", g.Key)
	}
	return string(value), nil
}

// inc adds to a counter.
type inc struct {
	Key string
	By  int64 `default:"1"`
}

func (i inc) Apply(tx *quorate.Tx) (int64, error) {
	value, _ := tx.Get([]byte(i.Key))
	n, _ := strconv.ParseInt(string(value), 10, 64)
	n += i.By
	tx.Set([]byte(i.Key), strconv.AppendInt(nil, n, 10))
	return n, nil
}

// fail writes and deletes, and then fails.
type fail struct{ Key string }

func (f fail) Apply(tx *quorate.Tx) (int64, error) {
	tx.Set([]byte(f.Key), []byte("written by a command that failed"))
	tx.Set([]byte(f.Key+"/new"), nil)
	tx.Delete([]byte("a"))
	e := quorate.Errorf(quorate.Conflict, "%s is not what it should be", f.Key)
	e.Value = values.Int(7)
	return 0, e
}

// boom writes, and then panics.
type boom struct{ Key string }

func (b boom) Apply(tx *quorate.Tx) (int64, error) {
	tx.Set([]byte(b.Key), []byte("written by a command that panicked"))
	panic("boom")
}

// boomScan panics in the middle of a scan.
type boomScan struct{}

func (boomScan) Apply(tx *quorate.Tx) (int64, error) {
	for key := range tx.Scan(nil, nil) {
		tx.Delete(key)
		panic("boom at " + string(key))
	}
	return 0, nil
}

type boomRead struct{}

func (boomRead) Read(v *quorate.View) (int64, error) {
	for range v.Scan(nil, nil) {
		panic("boom")
	}
	return 0, nil
}

// total adds up all numbers and stores the sum while it scans.
type total struct{}

func (total) Apply(tx *quorate.Tx) (int64, error) {
	var sum int64
	for _, value := range tx.Scan(nil, nil) {
		n, _ := strconv.ParseInt(string(value), 10, 64)
		sum += n
		tx.Set([]byte("total"), strconv.AppendInt(nil, sum, 10))
	}
	return sum, nil
}

// clearAll deletes all that it finds.
type clearAll struct{}

func (clearAll) Apply(tx *quorate.Tx) (int64, error) {
	var n int64
	for key := range tx.Scan(nil, nil) {
		tx.Delete(key)
		n++
	}
	return n, nil
}

// rotate adds and deletes keys around where its scan is. What the scan shows
// must not depend on where the state stands.
type rotate struct{ Key string }

func (r rotate) Apply(tx *quorate.Tx) (string, error) {
	var seen strings.Builder
	for key, value := range tx.Scan(nil, nil) {
		fmt.Fprintf(&seen, "%s=%s ", key, value)
		tx.Delete([]byte(r.Key))
		tx.Set([]byte(r.Key), key)
		tx.Set([]byte(r.Key+"+"), value)
		tx.Delete(append([]byte{}, key...))
		if seen.Len() > 1000 {
			break
		}
	}
	return seen.String(), nil
}

// rolled is what dice returns.
type rolled struct {
	Number int64
	At     string
	Index  uint64
}

type dice struct{}

func (dice) Apply(tx *quorate.Tx) (rolled, error) {
	r := rolled{tx.Rand().Int64N(1000), tx.Now().UTC().Format("15:04:05"), tx.Index()}
	tx.Set([]byte("dice"), strconv.AppendInt(nil, r.Number, 10))
	return r, nil
}

type now struct{}

func (now) Read(v *quorate.View) (string, error) {
	return fmt.Sprintf("%s at %d", v.Now().UTC().Format("15:04:05"), v.Index()), nil
}

// large returns so many bytes, or an error that is so long.
type large struct {
	Bytes int64
	Fails bool `default:"0"`
}

func (l large) Apply(tx *quorate.Tx) (string, error) {
	tx.Set([]byte("large"), strconv.AppendInt(nil, l.Bytes, 10))
	text := strings.Repeat("x", int(l.Bytes))
	if l.Fails {
		return "", quorate.Errorf(quorate.Conflict, "%s", text)
	}
	return text, nil
}

func nested(depth int64) quorate.Value {
	v := values.Int(1)
	for range depth {
		v = values.List(v)
	}
	return v
}

// deep returns lists in lists.
type deep struct{ Depth int64 }

func (d deep) Apply(tx *quorate.Tx) (quorate.Value, error) {
	tx.Set([]byte("deep"), []byte("was here"))
	return nested(d.Depth), nil
}

type deepRead struct{ Depth int64 }

func (d deepRead) Read(*quorate.View) (quorate.Value, error) { return nested(d.Depth), nil }

// flood writes one mebibyte so many times.
type flood struct{ Count int64 }

func (f flood) Apply(tx *quorate.Tx) (int64, error) {
	value := make([]byte, quorate.ArgsBytesMax)
	for range f.Count {
		tx.Set([]byte("flood"), value)
	}
	return f.Count, nil
}

// count is how many keys there are.
type count struct{}

func (count) Read(v *quorate.View) (int64, error) {
	var n int64
	for range v.Scan(nil, nil) {
		n++
	}
	return n, nil
}

// hold stores a value for some seconds of log time. It answers whether there
// was one.
type hold struct {
	Key, Value string
	Seconds    int64
}

func (h hold) Apply(tx *quorate.Tx) (bool, error) {
	_, found := tx.Get([]byte(h.Key))
	tx.SetUntil([]byte(h.Key), []byte(h.Value), tx.Now().Add(time.Duration(h.Seconds)*time.Second))
	return found, nil
}

// keep makes a value stay for some more seconds, or for good.
type keep struct {
	Key     string
	Seconds *int64
}

func (k keep) Apply(tx *quorate.Tx) (bool, error) {
	if k.Seconds == nil {
		return tx.SetEnd([]byte(k.Key), time.Time{}), nil
	}
	return tx.SetEnd([]byte(k.Key), tx.Now().Add(time.Duration(*k.Seconds)*time.Second)), nil
}

// left is how long a value stays.
type left struct{ Key string }

func (l left) Read(v *quorate.View) (string, error) {
	end, ends := v.End([]byte(l.Key))
	_, found := v.Get([]byte(l.Key))
	return fmt.Sprintf("found %v, ends %v, in %v", found, ends, max(end.Sub(v.Clock()), 0)), nil
}

// revision answers with the revision.
type revision struct{}

func (revision) Apply(tx *quorate.Tx) (uint64, error) { return tx.Revision(), nil }

// replace stores a value that ends when the one before would have.
type replace struct{ Key, Value string }

func (r replace) Apply(tx *quorate.Tx) (string, error) {
	tx.Replace([]byte(r.Key), []byte(r.Value))
	return r.Value, nil
}
