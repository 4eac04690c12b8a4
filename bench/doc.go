// Package bench holds the programs that measure Quorate. It is a module of its
// own, so that nobody who uses the library sees what its peers depend on.
//
//	peers             Quorate beside etcd, dragonboat and Redis: the same work, one after the other
//	internal/cluster  starts the nodes of each system, and ends them
//	internal/member   what runs inside a node that is a copy of the program which started it
//	internal/loop     callers in a loop, and how long they waited
//	internal/usage    what a process took of its machine, as /proc tells
//
// From the root of the repository:
//
//	go -C bench run ./peers -quick
package bench
