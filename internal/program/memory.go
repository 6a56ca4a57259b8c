package program

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
)

// CollectAt is the setting of the garbage collector (GOGC) that suits a service: a request or an event leaves
// kilobytes of garbage and little that is kept, so collecting at five times what is kept, not at twice, is a
// fifth of the work. The limit of memory goes before it: near that, it collects more.
const CollectAt = 400

// memoryLimits are where a container finds its own limit: control groups version 2, then version 1. Never
// written to.
var memoryLimits = [...]string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}

// tuneMemory makes the garbage collector work late, and harder before the kernel kills us: it may keep nine
// tenths of what the container may have. Where GOGC or GOMEMLIMIT is set, somebody knows better.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(CollectAt)
	}
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
