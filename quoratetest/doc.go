// Package quoratetest tests services written with quorate: one command by itself,
// a service without a cluster, a cluster of real nodes in one process whose network
// and power a test can cut, and whole services under random faults.
//
//	func TestTake(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			c := quoratetest.Cluster(t, Tickets, 3)
//			take := func(on quorate.Executor) int64 {
//				ticket, err := quorate.Do(t.Context(), on, Take{Queue: "visa"})
//				if err != nil {
//					t.Fatal(err)
//				}
//				return ticket
//			}
//			old := c.Leader()
//			take(old)
//			c.Cut(old)
//			if got := take(c.Leader()); got != 2 {
//				t.Errorf("the second ticket is %d", got)
//			}
//		})
//	}
//
// From small to large:
//
//   - NewTx is a transaction on an empty state, for a test that calls Apply.
//   - Local is an Executor without a log and other nodes, whose time a test sets.
//   - Cluster is real nodes on a network and on disks in memory, with the verbs
//     Stop, Start, Kill, Cut, Heal, Pause, Resume and WaitConverged.
//   - CheckDeterminism makes random calls and looks whether they always come to
//     the same.
//   - CheckLinearizable makes random calls under random faults and holds what
//     callers were answered against a model.
//
// The rule it keeps: what no author of a test would remember to check is checked
// always. In Local and Cluster each command runs twice, and one that goes by the
// clock, by the order of a map, or by a variable of its own is named; and when a
// test ends, the nodes of its cluster must have come to the same state, without
// losing what they had acknowledged.
//
// It works on real time, and in a bubble of testing/synctest, where time costs
// nothing. There the clock stands still while a command runs: Local cannot tell
// that a command reads it, the others can.
//
// Whoever runs the tests decides by the environment how long CheckLinearizable goes
// on, and where the random numbers of both checks begin:
//
//	QUORATETEST_FOR=60s QUORATETEST_SEED=0 go test ./...
//
// It does not test the network, the disks and the clocks of a real machine.
package quoratetest
