//go:build !race

package client_test

// raced says that the race detector is on, which makes everything slow.
const raced = false
