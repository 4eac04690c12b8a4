package fill

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// etcdTogether is how many keys a transaction of etcd stores: of the 128
// operations that it may have.
const etcdTogether = 100

// Etcd stores all keys through transactions, each of which stores many.
func Etcd(ctx context.Context, addr string, l Load) error {
	return l.share(ctx, func(ctx context.Context, numbers []int) error {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{addr}, Logger: zap.NewNop()})
		if err != nil {
			return fmt.Errorf("connect to %s: %w", addr, err)
		}
		defer client.Close()
		return l.put(ctx, client, numbers)
	})
}

func (l Load) put(ctx context.Context, on clientv3.KV, numbers []int) error {
	for len(numbers) > 0 {
		n := min(etcdTogether, len(numbers))
		var puts []clientv3.Op
		for _, number := range numbers[:n] {
			number += l.First
			puts = append(puts, clientv3.OpPut(fmt.Sprintf(l.Key, number), string(l.Value(number))))
		}
		if _, err := on.Txn(ctx).Then(puts...).Commit(); err != nil {
			return err
		}
		numbers = numbers[n:]
	}
	return nil
}
