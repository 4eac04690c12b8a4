//go:build !quoratedebug

package respapi

const debugBuild = false

// debugged answers nothing: what DEBUG does to a server is for tests.
func debugged(*conn, [][]byte) bool { return false }
