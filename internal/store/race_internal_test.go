//go:build race

package store

// racing says that the race detector is on.
const racing = true
