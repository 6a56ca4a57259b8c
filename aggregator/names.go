package aggregator

import "strings"

// maxNames is how many queues, and how many types, have sums of their own. It is what a configuration
// may hold; the rest, which only a writer of nonsense could bring about, share one sum, so that the
// stats and the checkpoint stay below NATS' limit for a message whatever is published.
const maxNames = 256

// otherName is the key of the sum that names beyond maxNames share. It is no valid token.
const otherName = "*"

// names gives each queue or type a small number, in the order in which the stream first said it. The
// checkpoint keeps that order, so a reloaded ledger gives the same names a sum of their own.
type names struct {
	list  []string
	index map[string]uint32
}

func newNames(list []string) names {
	n := names{index: make(map[string]uint32, len(list))}
	for _, s := range list {
		n.number(s)
	}
	return n
}

// number gives the number of a name, a new one where it is new.
func (n *names) number(s string) uint32 {
	if i, ok := n.index[s]; ok {
		return i
	}
	s = strings.Clone(s) // it is part of a whole event's text
	i := uint32(len(n.list))
	n.list = append(n.list, s)
	n.index[s] = i
	return i
}

// lesser joins two names that contradict one another: the lesser bytes, whatever came first.
func (n *names) lesser(a, b uint32) uint32 {
	if a == b || n.list[a] < n.list[b] {
		return a
	}
	return b
}

// kept lists the names that have sums of their own.
func (n *names) kept() []string { return n.list[:min(len(n.list), maxNames)] }

// slot is where a name's sum stands.
func slot(number uint32) int { return int(min(number, maxNames)) }

// slotName is the name of a slot.
func (n *names) slotName(slot int) string {
	if slot == maxNames {
		return otherName
	}
	return n.list[slot]
}
