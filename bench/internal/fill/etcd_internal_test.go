package fill

import (
	"context"
	"errors"
	"fmt"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// table takes transactions that store, and nothing else.
type table struct {
	clientv3.KV
	stored map[string]string
	sizes  []int // of the transactions
	refuse error
}

func (t *table) Txn(context.Context) clientv3.Txn { return &puts{table: t} }

// puts is one transaction.
type puts struct {
	clientv3.Txn
	table *table
	ops   []clientv3.Op
}

func (p *puts) Then(ops ...clientv3.Op) clientv3.Txn {
	p.ops = ops
	return p
}

func (p *puts) Commit() (*clientv3.TxnResponse, error) {
	if p.table.refuse != nil {
		return nil, p.table.refuse
	}
	p.table.sizes = append(p.table.sizes, len(p.ops))
	for _, op := range p.ops {
		p.table.stored[string(op.KeyBytes())] = string(op.ValueBytes())
	}
	return &clientv3.TxnResponse{}, nil
}

// decades stores ten keys under the same value each.
var decades = Load{First: 10, Key: "k:%d", Value: func(number int) []byte { return fmt.Append(nil, number/10) }}

func TestTransactionsStoreAsMuchAsTheyMay(t *testing.T) {
	var numbers []int
	for i := range 2*etcdTogether + 5 {
		numbers = append(numbers, i)
	}
	on := &table{stored: make(map[string]string)}
	if err := decades.put(t.Context(), on, numbers); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(on.sizes), fmt.Sprint([]int{etcdTogether, etcdTogether, 5}); got != want {
		t.Errorf("the transactions have %s keys, want %s", got, want)
	}
	if len(on.stored) != len(numbers) {
		t.Errorf("%d keys are stored, want %d", len(on.stored), len(numbers))
	}
	for number := decades.First; number < decades.First+len(numbers); number++ {
		if got, want := on.stored[fmt.Sprintf(decades.Key, number)], fmt.Sprint(number/10); got != want {
			t.Fatalf("key %d has %q, want %q", number, got, want)
		}
	}
}

func TestTransactionThatFailsEndsIt(t *testing.T) {
	full := errors.New("no space")
	if err := decades.put(t.Context(), &table{refuse: full}, []int{1}); !errors.Is(err, full) {
		t.Errorf("it returned %v", err)
	}
}
