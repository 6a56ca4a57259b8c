package aggregator

import "strings"

// names gives each queue or type a small number, in the order in which the stream first said it.
type names struct {
	list  []string
	index map[string]uint32
}

func newNames() names { return names{index: make(map[string]uint32)} }

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
