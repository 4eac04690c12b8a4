package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/client"
	"github.com/quorate/quorate/kv"
)

func ExampleDial() {
	c, err := client.Dial("10.0.0.1:7301", "10.0.0.2:7301", "10.0.0.3:7301")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	hits, err := quorate.Do(ctx, c, kv.Inc{Key: "hits", By: 1})
	switch {
	case quorate.OutcomeUnknown(err):
		fmt.Println("nobody answered in time; it may have been counted")
	case err != nil:
		fmt.Println("not counted:", err)
	default:
		fmt.Println("hits:", hits)
	}
}
