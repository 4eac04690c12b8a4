//go:build !quoratedebug

package respapi_test

const debugBuild = false
