package api

import (
	"container/list"
	"sync"
)

// lru keeps what was used last, within a budget of bytes.
type lru[K comparable, V any] struct {
	mu     sync.Mutex
	budget int
	used   int
	order  *list.List // the newest first
	at     map[K]*list.Element
}

type lruItem[K comparable, V any] struct {
	key   K
	value V
	cost  int
}

func newLRU[K comparable, V any](budget int) *lru[K, V] {
	return &lru[K, V]{budget: budget, order: list.New(), at: make(map[K]*list.Element)}
}

func (l *lru[K, V]) get(key K) (value V, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.at[key]
	if !ok {
		return value, false
	}
	l.order.MoveToFront(e)
	return e.Value.(*lruItem[K, V]).value, true
}

func (l *lru[K, V]) put(key K, value V, cost int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.take(l.at[key])
	if cost > l.budget {
		return
	}
	l.at[key] = l.order.PushFront(&lruItem[K, V]{key, value, cost})
	l.used += cost
	for l.used > l.budget {
		l.take(l.order.Back())
	}
}

// drop forgets all.
func (l *lru[K, V]) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used, l.order = 0, list.New()
	clear(l.at)
}

func (l *lru[K, V]) remove(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.take(l.at[key])
}

func (l *lru[K, V]) take(e *list.Element) {
	if e == nil {
		return
	}
	item := l.order.Remove(e).(*lruItem[K, V])
	delete(l.at, item.key)
	l.used -= item.cost
}
