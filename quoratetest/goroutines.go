package quoratetest

import (
	"bytes"
	"context"
	"fmt"
	"runtime/pprof"
	"strings"
	"time"
)

// A goroutine has the labels of the one that started it. So all that a node
// starts, and all that these start, is known by the label of the one in which the
// node was opened, also while other tests run beside.

const label = "quoratetest.cluster"

// mark is the label of a cluster: no other has it as long as this one is there.
func (c *Nodes) mark() string { return fmt.Sprintf("%p", c) }

// marked runs something in a goroutine with the label of the cluster.
func (c *Nodes) marked(start func() error) error {
	done := make(chan error)
	go pprof.Do(context.Background(), pprof.Labels(label, c.mark()), func(context.Context) { done <- start() })
	return <-done
}

// lingerMax is how long what was stopped may take to end: a goroutine that has
// said that it is done may still have its last lines to run.
const lingerMax = 5 * time.Second

// leftBehind is the goroutines of the cluster that have not ended.
func (c *Nodes) leftBehind() (left []string) {
	for end := time.Now().Add(lingerMax); ; time.Sleep(look) {
		if left = withLabel(c.mark()); len(left) == 0 || time.Now().After(end) {
			return left
		}
	}
}

// withLabel is where the goroutines stand that have a label.
func withLabel(mark string) (stacks []string) {
	var all bytes.Buffer
	// A profile that is written to memory has no errors.
	_ = pprof.Lookup("goroutine").WriteTo(&all, 1)
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, fmt.Sprintf("%q:%q", label, mark)) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}
