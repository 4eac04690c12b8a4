# make check is all that CI runs; .ci/run is the one place that says what
# that is, so that both are the same on every machine.

.PHONY: check sim soak planted torture bank differ e2e bench strain

HOURS ?= 8
COMMANDS ?= 100000

check:
	./.ci/run

# Fresh seeds of the simulator for a minute. `go test ./...` runs a few.
sim:
	go test ./internal/sim -run '^TestSeeds$$' -count=1 -duration=1m -v

# Fresh seeds for hours: make soak HOURS=8
soak:
	go test ./internal/sim -run '^TestSeeds$$' -count=1 -duration=$(HOURS)h -timeout=0 -v

# Plants every bug and runs the test that must find it. Prints the rows of the
# table in docs/TESTING.md.
planted:
	go test ./internal/planted -run '^TestEveryPlantedBugIsFound$$' -count=1 -plant=. -timeout=60m -v

# Real processes, killed, paused and cut off under load, for ten minutes.
# `go test ./...` runs the same tests for some seconds.
torture:
	go test ./internal/torture -count=1 -torture=10m -timeout=30m -v

# The bank of the examples under faults for a minute, held against a model.
bank:
	QUORATETEST_FOR=60s go test ./examples/bank -run Linearizable -count=1 -v

# The same commands to a redis-server and to Quorate. Needs redis-server 7.0.
differ:
	go test ./internal/differ -count=1 -commands=$(COMMANDS) -timeout=60m -v

# go-redis, rueidis, redis-cli and redis-benchmark against three processes,
# nodes killed in between.
e2e:
	cd e2e && go test ./... -count=1 -timeout=30m -v -e2e=full

# Quorate beside etcd, dragonboat and redis-server, in about a quarter of an
# hour: tables, figures and a chart in bench/results. A first look:
# make bench BENCH=-quick
bench:
	go -C bench run ./peers $(BENCH)

# The limits of Quorate itself: many keys, memory, snapshots, restarts, overload.
# About as long; a first look: make strain BENCH=-quick
strain:
	go -C bench run ./strain $(BENCH)
