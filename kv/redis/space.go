package redis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/respapi"
)

// spaceCommands are the commands about all keys.
func spaceCommands() []respapi.Command {
	scans := &scans{positions: newPositions()}
	return []respapi.Command{
		{Name: "SCAN", Call: scans.call, Reply: scans.reply},
		{Name: "KEYS", Run: keys},
		{Name: "DBSIZE", Run: dbSize},
		{Name: "FLUSHALL", Run: flush},
		{Name: "FLUSHDB", Run: flush},
	}
}

const (
	// keysMax bounds the keys that KEYS shows: they are in memory all at once,
	// some 100 bytes each.
	keysMax = 1_000_000
	// keysBytesMax bounds their bytes.
	keysBytesMax = 64 << 20
)

// keys is KEYS pattern. It goes over all keys in pages, each of one moment.
func keys(ctx context.Context, on quorate.Executor, args [][]byte) resp.Value {
	if len(args[0]) == 0 {
		return resp.ArrayValue() // the empty pattern matches only the empty key
	}
	var (
		found []resp.Value
		bytes int
	)
	scan := kv.Scan{Limit: kv.ScanMax, Pattern: args[0]}
	for more := true; more; {
		page, err := quorate.Ask(ctx, on, scan)
		if err != nil {
			return respapi.Failure(sure(err))
		}
		for _, key := range page.Keys {
			found = append(found, resp.BulkValue(string(key)))
			bytes += len(key)
		}
		if len(found) > keysMax || bytes > keysBytesMax {
			return respapi.Failure(refuse(fmt.Sprintf("more than %d keys or %d bytes match: use SCAN", keysMax, keysBytesMax)))
		}
		scan.After, more = page.Next, page.More
	}
	return resp.ArrayValue(found...)
}

// sure says of the error of a query that it changed nothing.
func sure(err error) error {
	failure, ok := errors.AsType[*quorate.Error](err)
	if !ok {
		return err
	}
	certain := *failure
	certain.Outcome = quorate.NotApplied
	return &certain
}

// dbSize is DBSIZE. It counts the keys in parts, each of one moment.
func dbSize(ctx context.Context, on quorate.Executor, _ [][]byte) resp.Value {
	count, err := countKeys(ctx, on, false)
	if err != nil {
		return respapi.Failure(sure(err))
	}
	return resp.IntValue(count.Keys)
}

func countKeys(ctx context.Context, on quorate.Executor, expiring bool) (all kv.Count, err error) {
	size := kv.Size{Expiring: expiring}
	for {
		part, err := quorate.Ask(ctx, on, size)
		if err != nil {
			return kv.Count{}, err
		}
		all.Keys += part.Keys
		all.Expiring += part.Expiring
		if !part.More {
			return all, nil
		}
		size.After = part.Next
	}
}

// flush is FLUSHALL or FLUSHDB [ASYNC | SYNC]: all keys go in parts, those first
// that are first in order, and the answer comes when all are gone.
func flush(ctx context.Context, on quorate.Executor, args [][]byte) resp.Value {
	if len(args) > 1 || len(args) == 1 && word(args[0]) != "SYNC" && word(args[0]) != "ASYNC" {
		return respapi.Failure(errSyntax)
	}
	var part kv.Flush
	for {
		flushed, err := quorate.Do(ctx, on, part)
		if err != nil {
			return respapi.Failure(begun(err, part.After != nil))
		}
		if !flushed.More {
			return ok()
		}
		part.After = &flushed.Next
	}
}

// begun says of the error of a part that parts before it may have taken effect.
func begun(err error, before bool) error {
	failure, ok := errors.AsType[*quorate.Error](err)
	if !ok || !before {
		return err
	}
	partly := *failure
	partly.Outcome = quorate.Unknown
	partly.Message = "some keys are gone: " + failure.Error()
	return &partly
}

// census counts keys for INFO, which is asked for often and need not be exact:
// what was counted once is told for ten times as long as counting took, so that
// counting takes at most a tenth of the time.
type census struct {
	mu    sync.Mutex // held while one counts
	count kv.Count
	stale time.Time
}

const censusPart = 10

func (c *census) keys(ctx context.Context, on quorate.Executor) (keys, expiring int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := time.Now()
	if begun.After(c.stale) {
		if c.count, err = countKeys(ctx, on, true); err != nil {
			return 0, 0, sure(err)
		}
		ended := time.Now()
		c.stale = ended.Add(censusPart * ended.Sub(begun))
	}
	return c.count.Keys, c.count.Expiring, nil
}
