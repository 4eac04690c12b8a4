package redis_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/resp"
)

// names are the commands of this package.
var names = []string{
	"APPEND", "COPY", "DBSIZE", "DECR", "DECRBY", "DEL", "EXISTS", "EXPIRE", "EXPIREAT", "EXPIRETIME", "FLUSHALL", "FLUSHDB", "GET", "GETDEL",
	"GETEX", "GETRANGE", "GETSET", "INCR", "INCRBY", "INCRBYFLOAT", "KEYS", "MGET", "MSET", "MSETNX", "OBJECT", "PERSIST", "PEXPIRE",
	"PEXPIREAT", "PEXPIRETIME", "PSETEX", "PTTL", "RANDOMKEY", "RENAME", "RENAMENX", "SCAN", "SET", "SETEX", "SETNX", "SETRANGE", "STRLEN",
	"TOUCH", "TTL", "TYPE", "UNLINK",
}

// TestDocsAreThoseOfRedis holds the captured docs against a server.
func TestDocsAreThoseOfRedis(t *testing.T) {
	on := mustRedis(t)
	if greeting := on.do("HELLO", "3"); greeting.IsError() {
		t.Fatal(shown(greeting))
	}
	got := resp.Append(nil, resp.RESP3, sorted(on.do(append([]string{"COMMAND", "INFO"}, names...)...)))
	got = resp.Append(got, resp.RESP3, sorted(on.do(append([]string{"COMMAND", "DOCS"}, names...)...)))
	if *rewrite {
		if err := os.WriteFile("docs.resp3", got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("docs.resp3")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs.resp3 is not what the server tells; -rewrite writes it down")
	}
}

// sorted orders commands by their names: Redis has them in an order that
// changes from run to run.
func sorted(v resp.Value) resp.Value {
	list := slices.Clone(v.List())
	if len(list) == 0 {
		return v
	}
	for i := range list {
		list[i] = sorted(list[i])
	}
	size, name := 1, func(element []resp.Value) string {
		if info := element[0].List(); len(info) == 10 {
			return info[0].Text()
		}
		return ""
	}
	if v.Kind() == resp.Map {
		size, name = 2, func(element []resp.Value) string { return element[0].Text() }
	}
	if size == 1 && name(list) == "" || size == 2 && list[1].Kind() != resp.Map {
		return rebuilt(v, list)
	}
	elements := slices.Collect(slices.Chunk(list, size))
	slices.SortStableFunc(elements, func(a, b []resp.Value) int { return strings.Compare(name(a), name(b)) })
	return rebuilt(v, slices.Concat(elements...))
}

func rebuilt(v resp.Value, list []resp.Value) resp.Value {
	switch v.Kind() {
	case resp.Map:
		return resp.MapValue(list...)
	case resp.Set:
		return resp.SetValue(list...)
	}
	return resp.ArrayValue(list...)
}
