# make check is all that CI runs; .ci/run is the one place that says what
# that is, so that both are the same on every machine.

.PHONY: check torture

check:
	./.ci/run

# The whole count of calls and kills; takes minutes. `go test ./...` runs the
# same test with smaller counts.
torture:
	go test ./internal/torture -run . -count=1 -torture=full -timeout 30m
