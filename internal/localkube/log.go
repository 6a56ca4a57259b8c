package localkube

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
)

// maxLog bounds what is kept of a pod's output. The processor keeps the last of it elsewhere; this file is
// for the pods that never came so far.
const maxLog = 1 << 20

// boundedLog is a file that takes its first bytes and drops the rest in silence, so that no container
// blocks on its own output.
type boundedLog struct {
	mu   sync.Mutex
	file *os.File
	left int
	last []byte // the last that was written, at most maxLast bytes
}

// maxLast is how much of the last line of an output is remembered.
const maxLast = 400

func openLog(path string) (*boundedLog, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a pod's log: %w", err)
	}
	return &boundedLog{file: f, left: maxLog}, nil
}

func (l *boundedLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keep := b[:min(len(b), l.left)]
	l.left -= len(keep)
	l.last = append(l.last, b[max(0, len(b)-maxLast):]...)
	l.last = l.last[max(0, len(l.last)-maxLast):]
	if _, err := l.file.Write(keep); err != nil {
		l.left = 0 // a full disk must not end the work
	}
	return len(b), nil
}

// lastLine is the last line that is not empty, or its end.
func (l *boundedLog) lastLine() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(l.last), []byte("\n"))
	return strings.ToValidUTF8(string(lines[len(lines)-1]), "\uFFFD")
}

func (l *boundedLog) Close() { _ = l.file.Close() } // nothing was promised to be kept
