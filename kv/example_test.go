package kv_test

import (
	"context"
	"fmt"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/memory"
	"github.com/quorate/quorate/kv"
)

func ExamplePut() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	value, err := quorate.Do(ctx, on, kv.Put{Key: "greeting", Value: quorate.BytesValue("hello")})
	fmt.Println(value, err)
	// Output: hello <nil>
}

func ExampleGet() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	_, err := quorate.Ask(ctx, on, kv.Get{Key: "greeting"})
	fmt.Println(quorate.CodeOf(err))

	_, _ = quorate.Do(ctx, on, kv.Put{Key: "greeting", Value: quorate.BytesValue("hello")})
	value, err := quorate.Ask(ctx, on, kv.Get{Key: "greeting"})
	fmt.Println(value, err)
	// Output:
	// not_found
	// hello <nil>
}

func ExampleDelete() {
	var on quorate.Executor = memory.New(kv.Service) // in a program, a node
	ctx := context.Background()

	_, _ = quorate.Do(ctx, on, kv.Put{Key: "greeting", Value: quorate.BytesValue("hello")})
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

	claim := kv.Cas{Key: "owner", Value: quorate.BytesValue("ann")} // if there is none
	owner, err := quorate.Do(ctx, on, claim)
	fmt.Println(owner, err)

	claim.Value = quorate.BytesValue("bob")
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
