package enclosure

import (
	"os"

	"golang.org/x/sys/unix"
)

// parentGone returns a channel that closes when the process that began this one has ended: a `make` that is killed
// with SIGKILL cannot pass anything on. Where the kernel has no pidfd (before 5.3) it never closes.
func parentGone() <-chan struct{} {
	gone := make(chan struct{})
	parent := os.Getppid()
	fd, err := unix.PidfdOpen(parent, 0)
	if err != nil || os.Getppid() != parent {
		return gone
	}
	go func() {
		for {
			_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
			if err == unix.EINTR {
				continue
			}
			if err == nil {
				close(gone)
			}
			return
		}
	}()
	return gone
}
