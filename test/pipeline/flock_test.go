package pipeline

import (
	"os"
	"syscall"
)

// flock takes a file's lock alone, or gives it back.
func flock(f *os.File, take bool) error {
	how := syscall.LOCK_UN
	if take {
		how = syscall.LOCK_EX
	}
	return syscall.Flock(int(f.Fd()), how)
}
