package aggregator

import "fmt"

// books are the sums in total, for each queue and each type, and how long each stage took.
type books struct {
	total         sum
	queues, types []sum // by the slot of a name
	latency       [stages]histogram
}

// add puts a job's part into the books, or with sign -1 takes it out.
func (b *books) add(queue, kind uint32, t *tally, sign int64) {
	b.total.add(&t.sum, sign)
	at(&b.queues, slot(queue)).add(&t.sum, sign)
	at(&b.types, slot(kind)).add(&t.sum, sign)
	for _, s := range t.samples {
		b.latency[s.stage].add(s.ms, sign)
	}
}

// at finds the sum of a slot, making room for it.
func at(list *[]sum, slot int) *sum {
	for len(*list) <= slot {
		*list = append(*list, sum{})
	}
	return &(*list)[slot]
}

// merge puts all of o into b.
func (b *books) merge(o *books) {
	b.total.add(&o.total, 1)
	for i := range o.queues {
		at(&b.queues, i).add(&o.queues[i], 1)
	}
	for i := range o.types {
		at(&b.types, i).add(&o.types[i], 1)
	}
	for i := range o.latency {
		b.latency[i].merge(&o.latency[i])
	}
}

// off counts the sums in which two books differ.
func (b *books) off(o *books) int {
	n := b.total.off(&o.total) + offLists(b.queues, o.queues) + offLists(b.types, o.types)
	for i := range b.latency {
		if b.latency[i] != o.latency[i] {
			n++
		}
	}
	return n
}

func offLists(a, b []sum) (n int) {
	for i := range max(len(a), len(b)) {
		n += at(&a, i).off(at(&b, i))
	}
	return n
}

// crossed counts the cells whose total is not the sum over the queues, or over the types: the check
// that is cheap enough for every commit.
func (b *books) crossed() int {
	var queues, types sum
	for i := range b.queues {
		queues.add(&b.queues[i], 1)
	}
	for i := range b.types {
		types.add(&b.types[i], 1)
	}
	return b.total.off(&queues) + b.total.off(&types)
}

// booksWire is the books in the checkpoint, which names the queues, the types and the cells once.
type booksWire struct {
	Total   []int64               `json:"total"`
	Queues  [][]int64             `json:"queues"`
	Types   [][]int64             `json:"types"`
	Latency [stages]histogramWire `json:"latency"`
}

func (b *books) wire() booksWire {
	w := booksWire{Total: b.total.wire(), Queues: wireList(b.queues), Types: wireList(b.types)}
	for i := range b.latency {
		w.Latency[i] = b.latency[i].wire()
	}
	return w
}

func wireList(list []sum) [][]int64 {
	w := make([][]int64, len(list))
	for i := range list {
		w[i] = list[i].wire()
	}
	return w
}

func (w *booksWire) read(b *books, from []cell) error {
	if err := b.total.read(w.Total, from); err != nil {
		return err
	}
	if err := readList(w.Queues, &b.queues, from); err != nil {
		return fmt.Errorf("queues: %w", err)
	}
	if err := readList(w.Types, &b.types, from); err != nil {
		return fmt.Errorf("types: %w", err)
	}
	for i := range b.latency {
		if err := b.latency[i].read(w.Latency[i]); err != nil {
			return fmt.Errorf("latency %d: %w", i, err)
		}
	}
	return nil
}

func readList(w [][]int64, list *[]sum, from []cell) error {
	if len(w) > maxNames+1 {
		return fmt.Errorf("%d sums, at most %d are kept", len(w), maxNames+1)
	}
	for i := range w {
		if err := at(list, i).read(w[i], from); err != nil {
			return fmt.Errorf("sum %d: %w", i, err)
		}
	}
	return nil
}
