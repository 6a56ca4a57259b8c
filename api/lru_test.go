package api

import (
	"testing"

	"pgregory.net/rapid"
)

func TestLRUKeepsItsBudget(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := newLRU[int, int](100)
		held := make(map[int]int)
		for range rapid.IntRange(0, 50).Draw(t, "puts") {
			key, cost := rapid.IntRange(0, 9).Draw(t, "key"), rapid.IntRange(0, 120).Draw(t, "cost")
			l.put(key, cost, cost)
			held[key] = cost
		}
		used := 0
		for key, cost := range held {
			if got, ok := l.get(key); ok {
				used += cost
				if got != cost {
					t.Fatalf("key %d: %d, want %d", key, got, cost)
				}
			}
		}
		if used != l.used || used > 100 || l.order.Len() != len(l.at) {
			t.Fatalf("used %d, says %d", used, l.used)
		}
	})
}
