// Package torture runs real processes on loopback, does to them what happens
// to processes, and compares what clients were told with what may be true.
//
// It is tests only, and knows nothing of the inside of a node: what it checks
// it learnt over HTTP. Most tests run the binary as a user would. Where wires
// between nodes must be cut, the test runs itself again as a node that dials
// through a proxy; it is the same node, with the same doors.
//
// Three sizes: by default the counts are small enough for every run of the
// tests; -torture=full takes the full ones; -torture=10m takes the small ones
// and has faults and load go on until so much time has passed since the start
// of the whole run, all checks included. A seed is printed with each failure.
// It repeats the faults and the calls, not what the machine makes of them.
package torture
