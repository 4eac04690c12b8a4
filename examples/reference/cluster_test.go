package main

import (
	"strconv"
	"testing"
	"time"

	"github.com/quorate/quorate"
	"github.com/quorate/quorate/quoratetest"
)

// cell is what stands under one key.
type cell struct {
	value int64
	there bool
}

var model = quoratetest.Model[cell]{
	Step: func(was cell, call any, got quoratetest.Answer) (cell, bool) {
		switch c := call.(type) {
		case Put:
			return cell{c.Value, true}, got.Is(c.Value)
		case Delete:
			return cell{}, got.Is(was.there)
		case Inc:
			return cell{was.value + c.Value, true}, got.Is(was.value + c.Value)
		}
		if !was.there {
			return was, got.Fails(quorate.NotFound)
		}
		return was, got.Is(was.value)
	},
	Part: func(call any) string {
		switch c := call.(type) {
		case Put:
			return strconv.FormatInt(c.Key, 10)
		case Get:
			return strconv.FormatInt(c.Key, 10)
		case Delete:
			return strconv.FormatInt(c.Key, 10)
		case Inc:
			return strconv.FormatInt(c.Key, 10)
		}
		return ""
	},
}

func TestReferenceIsLinearizableUnderFaults(t *testing.T) {
	quoratetest.CheckLinearizable(t, service, model, reference, quoratetest.For(time.Second))
}
