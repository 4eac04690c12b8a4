package torture

import (
	"fmt"
	"testing"
)

// TestCallUnderAnIDIsAnsweredTheSameAfterAllNodesRestarted restarts all nodes
// in order, then after SIGKILL, and asks all of them for what was answered
// before.
func TestCallUnderAnIDIsAnsweredTheSameAfterAllNodesRestarted(t *testing.T) {
	c := newCluster(t, settings{})
	add := call{path: "/v1/inc", body: `{"key":"n"}`, id: "first"}
	added, out := c.ask(0, add)
	if out != acknowledged || string(added.Value) != "1" {
		t.Fatalf("the first increment: %v", added)
	}
	conflict := call{path: "/v1/cas", body: `{"key":"n","value":9,"expect":8}`, id: "second"}
	conflicted, out := c.ask(1, conflict)
	if out != refused || conflicted.Code != "conflict" || string(conflicted.Value) != "1" {
		t.Fatalf("a CAS that expects something else: %v", conflicted)
	}
	// A count without an id shows that the state goes on behind the answers.
	if a, out := c.ask(2, call{path: "/v1/inc", body: `{"key":"n"}`}); out != acknowledged || string(a.Value) != "2" {
		t.Fatalf("the second increment: %v", a)
	}
	restarts := []struct {
		name string
		end  func()
	}{
		{"SIGTERM", func() {
			for i := range c.nodes {
				c.must(c.nodes[i].terminate())
			}
			for i := range c.nodes {
				c.must(c.nodes[i].awaitEnd())
			}
		}},
		{"SIGKILL", c.killAll},
	}
	for _, restart := range restarts {
		restart.end()
		for i := range c.nodes {
			c.start(i)
		}
		for i := range c.nodes {
			c.waitReady(i)
			where := fmt.Sprintf("node %d after %s of all", i, restart.name)
			if a, out := c.ask(i, add); out != acknowledged || !a.same(added) {
				t.Errorf("%s answers %v to a call that was answered %v", where, a, added)
			}
			if a, out := c.ask(i, conflict); out != refused || !a.same(conflicted) {
				t.Errorf("%s answers %v to a call that was answered %v", where, a, conflicted)
			}
			other := call{path: "/v1/inc", body: `{"key":"n","value":5}`, id: add.id}
			if a, out := c.ask(i, other); out != refused || a.Code != "id_reused" {
				t.Errorf("%s answers %v to another call under the same id", where, a)
			}
			if n, err := c.get(i, "n"); err != nil || n != 2 {
				t.Errorf("%s: the counter is %d, %v", where, n, err)
			}
		}
	}
}
