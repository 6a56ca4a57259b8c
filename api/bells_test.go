package api

import (
	"testing"
)

func TestBellsRingOnce(t *testing.T) {
	t.Parallel()
	b := newBells()
	rings, takeDown := b.hang("a")
	other, takeDownOther := b.hang("b")
	b.ring("a")
	b.ring("a")
	<-rings
	select {
	case <-rings:
		t.Error("rang twice")
	case <-other:
		t.Error("rang for another")
	default:
	}
	takeDown()
	takeDownOther()
	if len(b.all) > 0 {
		t.Error("bells are left hanging")
	}
}
