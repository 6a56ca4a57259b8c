package service

import (
	"strings"
	"sync"
)

// Fault remembers what was wrong last, so that whoever tries again and again names it once for each change
// and not for each try. The zero value remembers nothing.
type Fault struct {
	mu    sync.Mutex
	shape string
}

// Changed tells whether err is another than the last one; nil is well. Numbers make no difference, for a
// port, a sequence or a number of seconds differs with every try.
func (f *Fault) Changed(err error) bool {
	shape := ""
	if err != nil {
		shape = strings.Map(withoutDigits, err.Error())
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := shape != f.shape
	f.shape = shape
	return changed
}

func withoutDigits(r rune) rune {
	if r >= '0' && r <= '9' {
		return -1
	}
	return r
}
