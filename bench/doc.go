// Package bench holds the programs that measure Quorate. It is a module of its
// own, so that nobody who uses the library sees what its peers depend on.
//
//	peers                Quorate beside etcd, dragonboat and Redis: the same work, one after the other
//	strain               the limits of Quorate: many keys, memory, snapshots, restarts, overload
//	counter              one small service written on four systems, for the table in docs/GUIDE.md
//	internal/program     how both are called, where their data goes and how they end
//	internal/cluster     starts the nodes of each system, and ends them
//	internal/member      what runs inside a node that is a copy of the program which started it
//	internal/fill        stores keys as fast as can be
//	internal/loop        callers in a loop, and how long they waited
//	internal/redisbench  runs redis-benchmark, and reads what it prints
//	internal/usage       what a process took of its machine, as /proc tells
//	internal/host        what machine this is
//	internal/report      figures as Markdown, and the files of a report
//
// From the root of the repository:
//
//	go -C bench run ./peers -quick
package bench
