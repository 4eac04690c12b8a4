package peer_test

import (
	"strings"
	"testing"

	"github.com/quorate/quorate/internal/peer"
)

func TestIDsSurviveTheirText(t *testing.T) {
	cluster, node := peer.NewClusterID(), peer.NewNodeID()
	if got, err := peer.ParseClusterID(cluster.String()); got != cluster || err != nil {
		t.Errorf("ParseClusterID(%s) = %s, %v", cluster, got, err)
	}
	if got, err := peer.ParseNodeID(string(node)); got != node || err != nil {
		t.Errorf("ParseNodeID(%s) = %s, %v", node, got, err)
	}
	if cluster.IsZero() || !(peer.ClusterID{}).IsZero() {
		t.Error("IsZero is wrong")
	}
	if cluster == peer.NewClusterID() || node == peer.NewNodeID() {
		t.Error("two new ids are equal")
	}
}

func TestTextThatIsNoIDIsRefused(t *testing.T) {
	for _, text := range []string{"", "12", "n1", strings.Repeat("0", 16), strings.Repeat("A", 16), strings.Repeat("a", 17), strings.Repeat("g", 16)} {
		if got, err := peer.ParseNodeID(text); err == nil {
			t.Errorf("ParseNodeID(%q) = %q", text, got)
		}
	}
	for _, text := range []string{"", "12", strings.Repeat("0", 31), strings.Repeat("z", 32), strings.Repeat("0", 33)} {
		if got, err := peer.ParseClusterID(text); err == nil {
			t.Errorf("ParseClusterID(%q) = %s", text, got)
		}
	}
}

func TestCallToWhatIsNoNodeIDIsUnsent(t *testing.T) {
	w := newWorld()
	a, b := w.mustStart(t, "a"), w.mustStart(t, "b", echoes(peer.Calls))
	_, err := a.Call(t.Context(), peer.Member{ID: "n1", Addr: b.member.Addr}, peer.Calls, echo, nil)
	if sent(err) != "unsent" || !strings.Contains(err.Error(), "n1") {
		t.Errorf("Call = %v", err)
	}
}
