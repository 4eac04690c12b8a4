//go:build !race

package sim_test

// seedsDefault is what a plain go test runs: about ten seconds on two cores.
const seedsDefault = 40

// everyKind says that the default seeds are enough to meet every kind of fault.
const everyKind = true
