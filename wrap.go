package quorate

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// once is an Executor that gives ids to calls.
type once struct {
	on Executor
	id CallID
}

func (o once) Execute(ctx context.Context, calls []Call) []Reply {
	if o.id == "" {
		return o.on.Execute(ctx, calls)
	}
	named := slices.Clone(calls)
	for i := range named {
		named[i].ID = o.id
		if len(calls) > 1 {
			named[i].ID += CallID("/" + strconv.Itoa(i))
		}
	}
	return o.on.Execute(ctx, named)
}

// stale is an Executor that lets reads see an older state.
type stale struct {
	on     Executor
	atMost time.Duration
}

func (s stale) Execute(ctx context.Context, calls []Call) []Reply {
	aged := slices.Clone(calls)
	for i := range aged {
		aged[i].Read = s.atMost
	}
	return s.on.Execute(ctx, aged)
}
