// Package torture runs real processes of the binary on loopback, kills them
// while clients write, and compares what the clients were told with what the
// nodes hold in the end.
//
// It is tests only, and knows nothing of the inside of a node: what it checks
// it learnt over HTTP. By default the counts are small enough for every run of
// the tests; -torture=full takes the full ones.
package torture
