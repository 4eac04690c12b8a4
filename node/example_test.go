package node_test

import (
	"context"
	"fmt"
	"os"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/kv"
	"github.com/quorate/quorate/node"
)

// A node inside a program of one's own.
func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }() // it is among temporary files

	n, err := node.Open(ctx, kv.Service, node.Config{
		Dir:  dir,
		Peer: "127.0.0.1:17302",
		// Join: []string{"10.0.0.1:7302", "10.0.0.2:7302", "10.0.0.3:7302"},
	})
	if err != nil {
		panic(err)
	}
	hits, err := quorate.Do(ctx, n, kv.Inc{Key: "hits", By: 1})
	fmt.Println(hits, err)

	fmt.Println(n.Close(ctx))
	// Output:
	// 1 <nil>
	// <nil>
}
