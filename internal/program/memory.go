package program

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// memoryLimits are where a container finds its own limit: control groups version 2, then version 1. Never
// written to.
var memoryLimits = [...]string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// limitMemory makes the garbage collector work harder before the kernel kills us: it may keep nine tenths of
// what the container may have. Where GOMEMLIMIT is set, somebody knows better; where there is no limit,
// nothing changes.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	for _, path := range memoryLimits {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the other version, or no Linux
		}
		if limit, ok := ownShare(string(b)); ok {
			debug.SetMemoryLimit(limit)
		}
		return
	}
}

// ownShare is nine tenths of a limit; false for "max", and for what version 1 writes where there is none.
func ownShare(limit string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(limit), 10, 64)
	if err != nil || n <= 0 || n >= 1<<60 {
		return 0, false
	}
	return n / 10 * 9, true
}
