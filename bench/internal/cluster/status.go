package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
)

// Status is what a node of Quorate says of itself.
type Status struct {
	Role          string `json:"role"`
	Term          uint64 `json:"term"`
	LastIndex     uint64 `json:"last_index"`
	SnapshotIndex uint64 `json:"snapshot_index"`
}

// Status asks a node of Quorate that has an HTTP door.
func (n *Node) Status(ctx context.Context) (s Status, err error) {
	body, err := get(ctx, "http://"+n.HTTP+"/v1/status")
	if err == nil {
		err = json.Unmarshal(body, &s)
	}
	if err != nil {
		return Status{}, fmt.Errorf("ask a node for its status: %w", err)
	}
	return s, nil
}

// Log is everything that the node has printed.
func (n *Node) Log() ([]byte, error) {
	printed, err := os.ReadFile(n.log)
	if err != nil {
		return nil, fmt.Errorf("read what a node printed: %w", err)
	}
	return printed, nil
}
