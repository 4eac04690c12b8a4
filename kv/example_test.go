package kv_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/values"
)

func ExamplePut() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	value, err := quorate.Do(ctx, on, kv.Put{Key: "greeting", Value: values.Bytes("hello")})
	fmt.Println(value, err)
	// Output: hello <nil>
}

func ExampleGet() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	_, err := quorate.Ask(ctx, on, kv.Get{Key: "greeting"})
	fmt.Println(quorate.CodeOf(err))

	_, _ = quorate.Do(ctx, on, kv.Put{Key: "greeting", Value: values.Bytes("hello")})
	value, err := quorate.Ask(ctx, on, kv.Get{Key: "greeting"})
	fmt.Println(value, err)
	// Output:
	// not_found
	// hello <nil>
}

func ExampleDelete() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	_, _ = quorate.Do(ctx, on, kv.Put{Key: "greeting", Value: values.Bytes("hello")})
	for range 2 {
		there, err := quorate.Do(ctx, on, kv.Delete{Key: "greeting"})
		fmt.Println(there, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleInc() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	for _, by := range []int64{1, 10, -4} {
		hits, err := quorate.Do(ctx, on, kv.Inc{Key: "hits", By: by})
		fmt.Println(hits, err)
	}
	// Output:
	// 1 <nil>
	// 11 <nil>
	// 7 <nil>
}

func ExampleCas() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	claim := kv.Cas{Key: "owner", Value: values.Bytes("ann")} // if there is none
	owner, err := quorate.Do(ctx, on, claim)
	fmt.Println(owner, err)

	claim.Value = values.Bytes("bob")
	_, err = quorate.Do(ctx, on, claim)
	fmt.Println(quorate.CodeOf(err))

	claim.Expect = &owner
	owner, err = quorate.Do(ctx, on, claim)
	fmt.Println(owner, err)
	// Output:
	// ann <nil>
	// conflict
	// bob <nil>
}

func ExamplePut_lock() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	// For ten seconds, if nobody has it.
	lock := kv.Put{Key: "lock", Value: values.Bytes("ann"), NX: new(true), TTL: new(int64(10_000))}
	owner, err := quorate.Do(ctx, on, lock)
	fmt.Println(owner, err)

	lock.Value = values.Bytes("bob")
	_, err = quorate.Do(ctx, on, lock)
	if failure, ok := errors.AsType[*quorate.Error](err); ok {
		fmt.Println(failure.Code, failure.Value)
	}
	// Output:
	// ann <nil>
	// conflict ann
}

func ExampleMPut() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	count, err := quorate.Do(ctx, on, kv.MPut{Pairs: []quorate.Value{
		values.Bytes("a"), values.Int(1),
		values.Bytes("b"), values.Bytes("two"),
	}})
	fmt.Println(count, err)

	values, err := quorate.Ask(ctx, on, kv.MGet{Keys: []kv.Key{"a", "b", "c"}})
	fmt.Println(values[0], values[1], values[2].Kind(), err)
	// Output:
	// 2 <nil>
	// 1 two none <nil>
}

func ExampleScan() {
	on := memory.New(kv.Service) // in a program, a node
	ctx := context.Background()
	for i := range 5 {
		_, _ = quorate.Do(ctx, on, kv.Inc{Key: kv.Key(fmt.Sprintf("user/%d", i)), By: int64(i)})
	}

	scan := kv.Scan{Prefix: "user/", Limit: 2, Values: true}
	for {
		page, err := quorate.Ask(ctx, on, scan)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(page.Keys, page.Values)
		if !page.More {
			return
		}
		scan.After = page.Next
	}
	// Output:
	// [user/0 user/1] [0 1]
	// [user/2 user/3] [2 3]
	// [user/4] [4]
}

func ExampleExpire() {
	on := memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	_, _ = quorate.Do(ctx, on, kv.Put{Key: "session", Value: values.Bytes("ann")})
	there, err := quorate.Do(ctx, on, kv.Expire{Key: "session", TTL: new(int64(60_000))})
	fmt.Println(there, err)

	life, err := quorate.Ask(ctx, on, kv.TTL{Key: "session"})
	fmt.Println(*life.TTL, err)

	on.Now = on.Now.Add(time.Minute) // log time goes by
	_, err = quorate.Ask(ctx, on, kv.Get{Key: "session"})
	fmt.Println(quorate.CodeOf(err))
	// Output:
	// true <nil>
	// 60000 <nil>
	// not_found
}

func ExampleIncFloat() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	for _, by := range []kv.Number{"0.1", "0.2", "1.7"} {
		sum, err := quorate.Do(ctx, on, kv.IncFloat{Key: "sum", By: by})
		fmt.Println(sum.Kind(), sum, err)
	}
	// Output:
	// string 0.1 <nil>
	// string 0.3 <nil>
	// integer 2 <nil>
}

func ExampleRename() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	_, _ = quorate.Do(ctx, on, kv.Put{Key: "new", Value: values.Int(2)})
	renamed, err := quorate.Do(ctx, on, kv.Rename{Key: "new", To: "current"})
	fmt.Println(renamed, err)

	value, err := quorate.Ask(ctx, on, kv.Get{Key: "current"})
	fmt.Println(value, err)
	// Output:
	// true <nil>
	// 2 <nil>
}
