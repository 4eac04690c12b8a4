package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
)

// newGoRedis connects as a program does that gives no options.
func newGoRedis(t testing.TB, addr string) *goredis.Client {
	t.Helper()
	client := goredis.NewClient(&goredis.Options{Addr: addr})
	t.Cleanup(func() { client.Close() })
	return client
}

// newRueidis connects as a program does that gives no options. Its cache needs
// CLIENT TRACKING; a server without that must say so in a way that it
// understands, and is used without the cache.
func newRueidis(t testing.TB, addr string) rueidis.Client {
	t.Helper()
	options := rueidis.ClientOption{InitAddress: []string{addr}}
	client, err := rueidis.NewClient(options)
	if errors.Is(err, rueidis.ErrNoCache) {
		options.DisableCache = true
		client, err = rueidis.NewClient(options)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestGoRedisUsesWhatItOffers(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		client := newGoRedis(t, addr)
		for name, test := range map[string]func(*testing.T, *goredis.Client){
			"values": goRedisValues, "expiry": goRedisExpiry, "pipeline": goRedisPipeline, "transaction": goRedisTransaction,
			"watch": goRedisWatch, "scan": goRedisScan,
		} {
			t.Run(name, func(t *testing.T) {
				must(t, client.FlushAll(t.Context()).Err())
				test(t, client)
			})
		}
	})
}

// must fails the test at an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// same fails the test if a result does not print as it should.
func same(t testing.TB, what string, want any) func(any, error) {
	return func(got any, err error) {
		t.Helper()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, %v, want %v", what, got, err, want)
		}
	}
}

func goRedisValues(t *testing.T, c *goredis.Client) {
	ctx := t.Context()
	same(t, "SET", "OK")(c.Set(ctx, "a", "1", 0).Result())
	same(t, "GET", "1")(c.Get(ctx, "a").Result())
	if _, err := c.Get(ctx, "none").Result(); !errors.Is(err, goredis.Nil) {
		t.Errorf("GET of a missing key: %v, want redis.Nil", err)
	}
	same(t, "SETNX", false)(c.SetNX(ctx, "a", "2", 0).Result())
	same(t, "SETXX", true)(c.SetXX(ctx, "a", "2", 0).Result())
	same(t, "SET GET", "2")(c.SetArgs(ctx, "a", "3", goredis.SetArgs{Get: true}).Result())
	same(t, "SET GET", "3")(c.SetArgs(ctx, "a", "4", goredis.SetArgs{Get: true}).Result())
	same(t, "APPEND", 3)(c.Append(ctx, "a", "56").Result())
	same(t, "STRLEN", 3)(c.StrLen(ctx, "a").Result())
	same(t, "GETRANGE", "56")(c.GetRange(ctx, "a", 1, -1).Result())
	same(t, "SETRANGE", 3)(c.SetRange(ctx, "a", 0, "78").Result())
	same(t, "INCR", 787)(c.Incr(ctx, "a").Result())
	same(t, "INCRBY", 800)(c.IncrBy(ctx, "a", 13).Result())
	same(t, "DECRBY", 790)(c.DecrBy(ctx, "a", 10).Result())
	same(t, "INCRBYFLOAT", 790.25)(c.IncrByFloat(ctx, "a", 0.25).Result())
	same(t, "MSET", "OK")(c.MSet(ctx, "x", 1, "y", 2).Result())
	same(t, "MSETNX", false)(c.MSetNX(ctx, "y", 1, "z", 2).Result())
	if got, err := c.MGet(ctx, "x", "none", "y").Result(); err != nil || fmt.Sprint(got) != "[1 <nil> 2]" {
		t.Errorf("MGET is %v, %v", got, err)
	}
	same(t, "GETDEL", "1")(c.GetDel(ctx, "x").Result())
	same(t, "EXISTS", 1)(c.Exists(ctx, "x", "y").Result())
	same(t, "COPY", 1)(c.Copy(ctx, "y", "x", 0, true).Result())
	same(t, "RENAME", "OK")(c.Rename(ctx, "x", "w").Result())
	same(t, "RENAMENX", false)(c.RenameNX(ctx, "w", "y").Result())
	same(t, "TYPE", "string")(c.Type(ctx, "w").Result())
	same(t, "encoding", "int")(c.ObjectEncoding(ctx, "w").Result())
	same(t, "DBSIZE", 3)(c.DBSize(ctx).Result())
	same(t, "DEL", 2)(c.Del(ctx, "w", "y", "none").Result())
	same(t, "RANDOMKEY", "a")(c.RandomKey(ctx).Result())
	if now, err := c.Time(ctx).Result(); err != nil || time.Since(now).Abs() > time.Minute {
		t.Errorf("TIME is %v, %v", now, err)
	}
	if commands, err := c.Command(ctx).Result(); err != nil || commands["get"] == nil {
		t.Errorf("COMMAND knows of get: %v, %v", commands["get"], err)
	}
}

func goRedisExpiry(t *testing.T, c *goredis.Client) {
	ctx := t.Context()
	within := func(what string, got time.Duration, err error, want time.Duration) {
		t.Helper()
		if err != nil || got > want || got < want-10*time.Second {
			t.Errorf("%s is %v, %v, want %v", what, got, err, want)
		}
	}
	must(t, c.Set(ctx, "a", "1", 100*time.Second).Err())
	got, err := c.TTL(ctx, "a").Result()
	within("TTL", got, err, 100*time.Second)
	must(t, c.Set(ctx, "a", "2", goredis.KeepTTL).Err())
	got, err = c.PTTL(ctx, "a").Result()
	within("PTTL", got, err, 100*time.Second)
	same(t, "EXPIRE GT", true)(c.ExpireGT(ctx, "a", 200*time.Second).Result())
	same(t, "EXPIRE NX", false)(c.ExpireNX(ctx, "a", 300*time.Second).Result())
	same(t, "GETEX", "2")(c.GetEx(ctx, "a", 50*time.Second).Result())
	got, err = c.TTL(ctx, "a").Result()
	within("TTL", got, err, 50*time.Second)
	end := time.Unix(4102444800, 0)
	same(t, "EXPIREAT", true)(c.ExpireAt(ctx, "a", end).Result())
	same(t, "EXPIRETIME", time.Duration(end.Unix())*time.Second)(c.ExpireTime(ctx, "a").Result())
	same(t, "PERSIST", true)(c.Persist(ctx, "a").Result())
	same(t, "TTL", time.Duration(-1))(c.TTL(ctx, "a").Result())
	must(t, c.Set(ctx, "short", "1", 50*time.Millisecond).Err())
	waitFor(t, 5*time.Second, "a key ends", func() error {
		if n, err := c.Exists(ctx, "short").Result(); err != nil || n != 0 {
			return fmt.Errorf("it exists: %d, %v", n, err)
		}
		return nil
	})
	same(t, "TTL", time.Duration(-2))(c.TTL(ctx, "short").Result())
}

func goRedisPipeline(t *testing.T, c *goredis.Client) {
	const n = 1000
	pipe := c.Pipeline()
	var last *goredis.IntCmd
	for range n {
		last = pipe.Incr(t.Context(), "hits")
	}
	bad := pipe.Do(t.Context(), "NOSUCH")
	after := pipe.Get(t.Context(), "hits")
	if _, err := pipe.Exec(t.Context()); err == nil || bad.Err() == nil {
		t.Errorf("an unknown command in a pipeline: %v, %v, want errors", err, bad.Err())
	}
	same(t, "the last increment", n)(last.Result())
	same(t, "what is read behind them", fmt.Sprint(n))(after.Result())
}

func goRedisTransaction(t *testing.T, c *goredis.Client) {
	ctx := t.Context()
	must(t, c.Set(ctx, "word", "abc", 0).Err())
	var n *goredis.IntCmd
	results, err := c.TxPipelined(ctx, func(tx goredis.Pipeliner) error {
		tx.Set(ctx, "a", "1", time.Minute)
		n = tx.IncrBy(ctx, "a", 41)
		tx.Incr(ctx, "word") // fails alone
		tx.Set(ctx, "b", "2", 0)
		return nil
	})
	if err == nil || len(results) != 4 || results[2].Err() == nil {
		t.Errorf("a transaction with a command that fails: %v, %v", results, err)
	}
	same(t, "a sum in it", 42)(n.Result())
	same(t, "what comes behind the failure", "2")(c.Get(ctx, "b").Result())
}

func goRedisWatch(t *testing.T, c *goredis.Client) {
	ctx := t.Context()
	disturbed := 0
	increment := func(disturb bool) error {
		return c.Watch(ctx, func(tx *goredis.Tx) error {
			n, err := tx.Get(ctx, "n").Int()
			if err != nil && !errors.Is(err, goredis.Nil) {
				return err
			}
			if disturb {
				must(t, c.Incr(ctx, "n").Err())
			}
			_, err = tx.TxPipelined(ctx, func(p goredis.Pipeliner) error {
				p.Set(ctx, "n", n+1, 0)
				return nil
			})
			return err
		}, "n")
	}
	for i := range 20 {
		if err := increment(i%2 == 1); errors.Is(err, goredis.TxFailedErr) {
			disturbed++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	same(t, "transactions that failed", 10)(disturbed, nil)
	same(t, "the sum", "20")(c.Get(ctx, "n").Result())
}

func goRedisScan(t *testing.T, c *goredis.Client) {
	ctx := t.Context()
	var want []string
	for i := range 500 {
		key := fmt.Sprintf("user:%03d", i)
		want = append(want, key)
		must(t, c.Set(ctx, key, i, 0).Err())
	}
	must(t, c.Set(ctx, "other", 1, 0).Err())
	var got []string
	walk := c.Scan(ctx, 0, "user:*", 17).Iterator()
	for walk.Next(ctx) {
		got = append(got, walk.Val())
	}
	must(t, walk.Err())
	slices.Sort(got)
	if got = slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("a walk finds %d keys, want %d", len(got), len(want))
	}
	walk = c.ScanType(ctx, 0, "", 100, "list").Iterator()
	if walk.Next(ctx) {
		t.Errorf("a walk over lists finds %q", walk.Val())
	}
	must(t, walk.Err())
	keys, err := c.Keys(ctx, "user:0[0-4]?").Result()
	same(t, "keys of a pattern", 50)(len(keys), err)
}

func TestRueidisUsesWhatItOffers(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		c, ctx := newRueidis(t, addr), t.Context()
		must(t, c.Do(ctx, c.B().Flushall().Build()).Error())
		must(t, c.Do(ctx, c.B().Set().Key("a").Value("1").ExSeconds(100).Build()).Error())
		same(t, "INCRBY", 42)(c.Do(ctx, c.B().Incrby().Key("a").Increment(41).Build()).AsInt64())
		if ttl, err := c.Do(ctx, c.B().Ttl().Key("a").Build()).AsInt64(); err != nil || ttl < 90 || ttl > 100 {
			t.Errorf("TTL is %d, %v", ttl, err)
		}
		if err := c.Do(ctx, c.B().Get().Key("none").Build()).Error(); !rueidis.IsRedisNil(err) {
			t.Errorf("GET of a missing key: %v, want nil", err)
		}
		// It pipelines by itself what many goroutines send.
		answers := make(chan error)
		const callers, each = 50, 20
		for range callers {
			go func() {
				var err error
				for range each {
					err = errors.Join(err, c.Do(ctx, c.B().Incr().Key("hits").Build()).Error())
				}
				answers <- err
			}()
		}
		for range callers {
			must(t, <-answers)
		}
		same(t, "the sum of many callers", callers*each)(c.Do(ctx, c.B().Get().Key("hits").Build()).AsInt64())

		for i, answer := range c.DoMulti(ctx, c.B().Multi().Build(), c.B().Set().Key("t").Value("1").Build(), c.B().Incr().Key("t").Build(), c.B().Exec().Build()) {
			must(t, answer.Error())
			if list, err := answer.ToArray(); i == 3 && (err != nil || len(list) != 2) {
				t.Errorf("EXEC answers %v, %v", list, err)
			}
		}
		must(t, c.Dedicated(func(tx rueidis.DedicatedClient) error {
			must(t, tx.Do(ctx, tx.B().Watch().Key("t").Build()).Error())
			must(t, c.Do(ctx, c.B().Set().Key("t").Value("9").Build()).Error())
			answers := tx.DoMulti(ctx, tx.B().Multi().Build(), tx.B().Incr().Key("t").Build(), tx.B().Exec().Build())
			if err := answers[2].Error(); !rueidis.IsRedisNil(err) {
				t.Errorf("EXEC behind a change: %v, want nil", err)
			}
			return nil
		}))

		values, err := rueidis.MGet(c, ctx, []string{"t", "none", "a"})
		must(t, err)
		if none := values["none"]; !none.IsNil() || len(values) != 3 {
			t.Errorf("MGET answers %v", values)
		}
		entry, err := c.Do(ctx, c.B().Scan().Cursor(0).Match("*").Count(1000).Build()).AsScanEntry()
		must(t, err)
		slices.Sort(entry.Elements)
		if want := []string{"a", "hits", "t"}; entry.Cursor != 0 || !slices.Equal(entry.Elements, want) {
			t.Errorf("SCAN answers %d %q, want %q", entry.Cursor, entry.Elements, want)
		}
	})
}
