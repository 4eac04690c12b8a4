package cli

import (
	"context"

	"github.com/quorate/quorate"
)

// deleteOperation is the operation that removes keys.
const deleteOperation = "MDELETE"

// removeKeys removes all keys that bench may ever have written. It looks again
// until there are none: a call that was given up may be served meanwhile.
func (b *bench) removeKeys(ctx context.Context) error {
	l, err := b.nodes.open(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	for {
		removed, err := b.removeOnce(l)
		if err != nil || removed == 0 {
			return err
		}
	}
}

// removeOnce removes the keys that there are, page by page.
func (b *bench) removeOnce(l *link) (removed int, err error) {
	s := scan{prefix: keyPrefix}
	pages, removal := b.program.operation(scanOperation), b.program.operation(deleteOperation)
	for after, more := "", true; more; {
		args, err := s.fields(after, scanPageMax).args(pages)
		if err != nil {
			return removed, usage("%v", err)
		}
		reply, err := l.run(quorate.Call{Name: pages.Name(), Args: args}, pages.Writes())
		if err != nil {
			return removed, err
		}
		var got page
		if err := reply.Value.Into(&got); err != nil || got.More && got.Next <= after {
			return removed, failed("remove the keys: the answer is no page of keys")
		}
		if err := removePage(l, removal, got.Keys); err != nil {
			return removed, err
		}
		removed += len(got.Keys)
		after, more = got.Next, got.More
	}
	return removed, nil
}

func removePage(l *link, removal *quorate.Operation, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	call, err := listFields(nil, keys)
	if err != nil {
		return err
	}
	args, err := call.args(removal)
	if err != nil {
		return usage("%v", err)
	}
	_, err = l.run(quorate.Call{Name: removal.Name(), Args: args}, removal.Writes())
	return err
}
