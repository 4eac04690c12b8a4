package main

import (
	"fmt"

	"github.com/quorate/quorate/bench/internal/fill"
)

const (
	// keyCount is how many keys there are; which one a call is about is random.
	keyCount = 100_000
	// keyFormat is how redis-benchmark writes them.
	keyFormat = "k:%012d"
	// value is what is written, everywhere.
	value = "12345678"
)

// stored is all keys that can be read, as they are before somebody reads.
func stored() fill.Load {
	return fill.Load{Keys: keyCount, Key: keyFormat, Value: func(int) []byte { return []byte(value) }, Together: 1000}
}

// op is what a call does.
type op string

const (
	opWrite op = "write" // stores 8 bytes under one of the keys
	opRead  op = "read"  // reads one of the keys, all of which are there, linearizably
	opHot   op = "increment of one key"
	opMany  op = "increment of 100,000 keys"
)

// door is the way by which calls come.
type door int

const (
	doorClient  door = iota // the Redis protocol, or etcd's client
	doorHTTP                // JSON over HTTP
	doorProcess             // goroutines in the process of the leader
)

// work is one thing to do and to measure.
type work struct {
	name string
	// group is the works that run on a cluster one after the other.
	group string
	op    op
	door  door
	// callers is how many calls, or pipelines of calls, are under way at a
	// time. Each caller has a connection of its own, but for those of etcd.
	callers int
	// pipeline is how many calls a caller makes at once.
	pipeline int
	// versus is what etcd is compared by where it has no such call: the best of
	// its figures of these works.
	versus []string
	// spread has the callers use all nodes alike, and not the leader alone.
	spread bool
}

// works is all that is measured, in the order of the report.
func works() []work {
	var all []work
	add := func(group string, w work) {
		w.group, w.pipeline = group, max(1, w.pipeline)
		all = append(all, w)
	}
	var writes []string
	for _, n := range []int{1, 64, 256, 1000} {
		name := fmt.Sprintf("write %d", n)
		writes = append(writes, name)
		add("write", work{name: name, op: opWrite, callers: n})
	}
	for _, n := range []int{16, 64} {
		add("pipelined write", work{name: fmt.Sprintf("write 64 pipeline %d", n), op: opWrite, callers: 64, pipeline: n, versus: writes})
	}
	for _, n := range []int{64, 256} {
		add("read", work{name: fmt.Sprintf("read %d", n), op: opRead, callers: n})
	}
	add("read", work{name: "read 256 all nodes", op: opRead, callers: 256, spread: true})
	add("increment", work{name: "increment one key 256", op: opHot, callers: 256})
	add("increment", work{name: "increment 100,000 keys 256", op: opMany, callers: 256})
	add("HTTP", work{name: "HTTP write 256", op: opWrite, door: doorHTTP, callers: 256, versus: []string{"write 256"}})
	for _, n := range []int{1, 64, 256, 1024, 4096} {
		add("in process", work{name: fmt.Sprintf("in process write %d", n), op: opWrite, door: doorProcess, callers: n})
	}
	return all
}

// groups is works by group, in order.
func groups(works []work) [][]work {
	var all [][]work
	for i, w := range works {
		if i == 0 || w.group != works[i-1].group {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], w)
	}
	return all
}
