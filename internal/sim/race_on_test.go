//go:build race

package sim_test

// seedsDefault is what a plain go test -race runs: the detector makes a seed
// ten times slower.
const seedsDefault = 6

// everyKind says that the default seeds are enough to meet every kind of fault.
const everyKind = false
