// Package e2e runs three nodes as a user would and talks to them with what
// users have: the client libraries go-redis and rueidis, redis-cli and
// redis-benchmark. Each is used as it comes, with its own defaults, on every
// node of the cluster.
//
// It is a module of its own, so that users of Quorate never see these libraries,
// and tests only; it knows of Quorate no more than its binary, which it builds
// from the module around it. What is expected of commands is what Redis 7.0
// answers: the same tests run on a redis-server first, and those that need a
// program that is not installed are skipped and say so.
//
//	cd e2e && go test ./...              half a minute on an idle machine
//	cd e2e && go test ./... -e2e=full    longer: more kills, and redis-benchmark with its own numbers
package e2e
