// Package lint holds the architecture of the house as tests.
//
// Which room may import which, which rooms decide state and therefore know no
// clock, which room alone knows a technology, and that every exported name has
// a comment: all of it fails the build here and not in a review. The package
// has no code of its own, only tests; sizes and names are for the eye.
package lint
