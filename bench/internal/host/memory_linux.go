package host

import "syscall"

// tmpfsMagic is the type of file systems in memory.
const tmpfsMagic = 0x01021994

// InMemory says that a directory is in memory, where a sync costs nothing.
func InMemory(dir string) bool {
	var stat syscall.Statfs_t
	return syscall.Statfs(dir, &stat) == nil && stat.Type == tmpfsMagic
}
