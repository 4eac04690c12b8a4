package client

import (
	"context"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/internal/entry"
)

const (
	// partBytesMax and partCallsMax bound what of a slice goes out in one frame,
	// unless a single call is larger. A node takes 2 MiB.
	partBytesMax = 1 << 20
	partCallsMax = entry.CallsMax
	// callTimeMax bounds how long a call is tried. The nodes remember an answer
	// for an hour, and nothing may be sent again after that.
	callTimeMax = 30 * time.Minute
	// nameBytesMax is the longest name that has a form on the wire.
	nameBytesMax = 255
)

// Execute implements quorate.Executor. A context without a deadline gets that
// of Config.Timeout; none is longer than 30 minutes. Calls that have no id get
// one. A slice goes out as one frame up to 1 MiB, in its order.
//
// Operations are found by name: a service must have a command or query given to
// quorate.Do or quorate.Ask under the name of its Go type in upper case. An
// error of a query may have outcome unknown too, which means nothing for it.
func (c *Client) Execute(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	replies := make([]quorate.Reply, len(calls))
	sound, positions := check(calls, replies)
	if len(sound) == 0 {
		return replies
	}
	pass, err := c.ledger.admit(sound)
	if err != nil {
		for _, i := range positions {
			replies[i].Err = err
		}
		return replies
	}
	defer c.release(pass)
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	for i, reply := range c.persist(ctx, sound) {
		replies[positions[i]] = reply
	}
	return replies
}

// bounded is ctx with a deadline that is not too far away.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	switch {
	case !ok:
		return context.WithTimeout(ctx, min(c.config.Timeout, callTimeMax))
	case time.Until(deadline) > callTimeMax:
		return context.WithTimeout(ctx, callTimeMax)
	}
	return ctx, func() {}
}

// check answers the calls that have no form on the wire or that every node
// refuses for their size, and returns copies of the others with their positions.
func check(calls []quorate.Call, replies []quorate.Reply) (sound []quorate.Call, positions []int) {
	sound, positions = make([]quorate.Call, 0, len(calls)), make([]int, 0, len(calls))
	for i, call := range calls {
		if err := checkCall(call); err != nil {
			replies[i].Err = err
			continue
		}
		sound, positions = append(sound, call), append(positions, i)
	}
	return sound, positions
}

func checkCall(call quorate.Call) error {
	switch size := argsBytes(call); {
	case len(call.Name) > nameBytesMax:
		return quorate.Errorf(quorate.UnknownOperation, "no service has an operation %.64q of %d bytes", call.Name, len(call.Name))
	case len(call.ID) > quorate.CallIDBytesMax:
		return quorate.Errorf(quorate.Invalid, "a call id of %d bytes is over the limit of %d", len(call.ID), quorate.CallIDBytesMax)
	case len(call.Args) > quorate.ArgsMax:
		return quorate.Errorf(quorate.TooLarge, "%d arguments are over the limit of %d", len(call.Args), quorate.ArgsMax)
	case size > quorate.ArgsBytesMax:
		return quorate.Errorf(quorate.TooLarge, "arguments of %d bytes are over the limit of %d", size, quorate.ArgsBytesMax)
	}
	return nil
}

func argsBytes(call quorate.Call) (size int) {
	for _, arg := range call.Args {
		size += len(arg)
	}
	return size
}

// persist tries calls in their order until each has an answer that stays or
// ctx ends.
func (c *Client) persist(ctx context.Context, calls []quorate.Call) []quorate.Reply {
	replies := make([]quorate.Reply, 0, len(calls))
	pasts := make([]past, len(calls))
	h := history{nodes: len(c.nodes)}
	for len(calls) > 0 {
		tried := calls[:part(calls)]
		answered := c.try(ctx, tried, &h)
		suspect(answered, pasts)
		stay := h.settle(answered, pasts)
		c.judge(h.from, stay == len(answered))
		replies, calls, pasts = append(replies, answered[:stay]...), calls[stay:], pasts[stay:]
		switch {
		case stay > 0 && quorate.OutcomeUnknown(answered[stay-1].Err):
			// The call may still take effect. Those behind it must not
			// overtake it.
			return append(replies, untried(pasts, "it is not known whether the call before it was applied")...)
		case stay == len(answered):
			h = history{nodes: len(c.nodes)}
		case h.hopeless || !c.pause(ctx, h.attempts):
			replies = append(replies, answered[stay:]...)
			return append(replies, untried(pasts[len(answered)-stay:], "the calls before it were not answered in time")...)
		}
	}
	return replies
}

// part is how many of the first calls go into one frame.
func part(calls []quorate.Call) int {
	size := 0
	for i := range calls {
		if size += entry.CallBytes(calls[i]); i > 0 && size > partBytesMax || i == partCallsMax {
			return i
		}
	}
	return len(calls)
}

// untried answers calls that are not tried, or not again.
func untried(pasts []past, why string) []quorate.Reply {
	replies := make([]quorate.Reply, len(pasts))
	for i := range replies {
		replies[i].Err = quorate.Errorf(quorate.Unavailable, "not tried: %s", why)
		if pasts[i].doubted {
			replies[i].Err = &quorate.Error{Code: quorate.Unavailable, Outcome: quorate.Unknown,
				Message: "it is not known whether the call was applied, and it was not tried again: " + why}
		}
	}
	return replies
}

// refuse answers every call with one error.
func refuse(n int, err error) []quorate.Reply {
	replies := make([]quorate.Reply, n)
	for i := range replies {
		replies[i].Err = err
	}
	return replies
}
