package respapi_test

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/resp"
	"github.com/quorate/quorate/respapi"
)

var rewrite = flag.Bool("rewrite", false, "write down what redis-server tells of commands")

// ownNames are the commands of this package that Redis has too.
var ownNames = []string{"AUTH", "CLIENT", "COMMAND", "CONFIG", "DEBUG", "DISCARD", "ECHO", "EXEC", "HELLO", "INFO", "MULTI", "PING", "QUIT",
	"RESET", "SELECT", "TIME", "UNWATCH", "WAIT", "WATCH"}

// TestDocsAreThoseOfRedis holds the captured docs against a server.
func TestDocsAreThoseOfRedis(t *testing.T) {
	address := mustRedis(t)
	for name, names := range map[string][]string{"docs.resp3": ownNames, "testdata/table.resp3": tableNames} {
		c := mustDial(t, address)
		c.send("HELLO 3")
		if proto := c.read(); proto.Kind() != resp.Map {
			t.Fatalf("HELLO: %s", show(proto))
		}
		c.call("COMMAND", append([]string{"INFO"}, names...)...)
		got := resp.Append(nil, resp.RESP3, c.read())
		c.call("COMMAND", append([]string{"DOCS"}, names...)...)
		got = resp.Append(got, resp.RESP3, sorted(c.read()))
		want, err := os.ReadFile(name)
		switch {
		case *rewrite:
			if err := os.WriteFile(name, got, 0o644); err != nil {
				t.Fatal(err)
			}
		case err != nil:
			t.Fatal(err)
		case !bytes.Equal(normal(t, got), normal(t, want)):
			t.Errorf("%s is not what the server tells; -rewrite writes it down", name)
		}
	}
}

// sorted orders a map, and those within it, by their keys: Redis has them in an
// order that changes from run to run.
func sorted(v resp.Value) resp.Value {
	list := make([]resp.Value, len(v.List()))
	for i, element := range v.List() {
		list[i] = sorted(element)
	}
	switch v.Kind() {
	case resp.Array:
		if len(list) > 1 && list[0].Kind() == resp.Array && len(list[0].List()) == 10 {
			sortBy(list, 1, func(element []resp.Value) string { return element[0].List()[0].Text() })
		}
		return resp.ArrayValue(list...)
	case resp.Map:
		if len(list) > 1 && strings.Contains(list[0].Text(), "|") || len(list) > 1 && list[1].Kind() == resp.Map {
			sortBy(list, 2, func(element []resp.Value) string { return element[0].Text() })
		}
		return resp.MapValue(list...)
	}
	return v
}

// sortBy orders elements of a number of values each by a name.
func sortBy(list []resp.Value, size int, name func([]resp.Value) string) {
	for i := size; i < len(list); i += size {
		for j := i; j > 0 && name(list[j-size:]) > "" && name(list[j:]) < name(list[j-size:]); j -= size {
			for k := range size {
				list[j+k], list[j-size+k] = list[j-size+k], list[j+k]
			}
		}
	}
}

// normal is captured docs in an order of their own.
func normal(t *testing.T, captured []byte) []byte {
	t.Helper()
	r := resp.NewReplyReader(bytes.NewReader(captured), resp.DefaultReplyLimits())
	var all []byte
	for range 2 {
		v, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		all = resp.Append(all, resp.RESP3, sorted(v))
	}
	return all
}

func TestReadDocsRefusesWhatIsNone(t *testing.T) {
	good, err := respapi.ReadDocs(tableDocs)
	if err != nil || len(good) != len(tableNames) {
		t.Fatalf("%d commands, %v", len(good), err)
	}
	get := good["GET"]
	if get.Info.List()[0].Text() != "get" || get.Text.List()[0].Text() != "summary" {
		t.Errorf("GET is %s, %s", show(get.Info), show(get.Text))
	}
	for name, captured := range map[string]string{
		"empty":            "",
		"cut":              string(tableDocs[:len(tableDocs)/2]),
		"one answer":       "*0\r\n",
		"other kinds":      "*0\r\n*0\r\n",
		"a null":           "*1\r\n_\r\n%0\r\n",
		"docs without":     "*0\r\n%1\r\n$3\r\nget\r\n%0\r\n",
		"info without":     strings.Split(string(tableDocs), "\r\n%")[0] + "\r\n%0\r\n",
		"docs of no kind":  "*0\r\n%1\r\n$3\r\nget\r\n_\r\n",
		"an error instead": "-ERR no\r\n%0\r\n",
	} {
		if docs, err := respapi.ReadDocs([]byte(captured)); err == nil {
			t.Errorf("%s: %d commands and no error", name, len(docs))
		}
	}
}
