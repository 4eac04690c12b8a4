// Package differ sends the same commands to a redis-server and to Quorate, and
// compares what they answer, byte for byte.
//
// Commands come in sequences that a seed draws: few keys and few values, so that
// commands meet each other's results, all options in all combinations, wrong
// ones among them, pipelines, transactions with a second connection that writes
// in between, whole walks with SCAN, and steps that wait until keys have ended.
// Every few commands all keys are looked at. A sequence begins with an empty
// server and new connections, half of them with RESP3. One that shows a
// difference is made as short as it gets, and printed with the command that runs
// it again:
//
//	go test ./internal/differ                        some seconds
//	go test ./internal/differ -commands=100000       as many commands
//	go test ./internal/differ -seed=7 -commands=1    one sequence again
//	go test ./internal/differ -redis=PATH            another redis-server
//
// Answers that need not be the same bytes pass by a rule with a name. Rules are
// of two kinds: the order of a set and the time of day are no differences at
// all; the others are differences that Quorate intends, and docs/REDIS.md tells
// users of each. An intended difference that a long run does not show is an
// error, except where it needs a rare moment, so that no rule is left behind.
//
// Times of expiry are far away, long past, or waited for, so that nothing
// depends on two servers having the same clock. What is sent is never a command
// that writes a list, a hash or a set: only Redis has those. Compared is Redis
// 7.0; without a redis-server the tests are skipped and say so.
//
// It is tests only.
package differ
