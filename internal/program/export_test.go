package program

import "time"

// LookEvery is for tests that do not wait for half a minute.
func (p *Program) LookEvery(d time.Duration) { p.lookEvery = d }
