package aggregator

import (
	"fmt"
	"iter"

	"tallyman/contract"
)

// books are what all jobs add up to: in total, for each queue with each type, and by time. Everything that
// others read is a sum of these.
type books struct {
	total   contract.Totals
	list    []*book // by slot
	slots   map[pair]int
	windows windows
	fresh   []*book // changed, and not known to be in the bucket
	days    *days   // while they are loaded
}

// pair is a queue and a type, by their numbers.
type pair struct{ queue, kind uint32 }

// book is of one queue and type.
type book struct {
	contract.Totals
	retired    *contract.Totals // of it, what no document gives back; nil: nothing
	queue, typ string
	change
}

// change says at which event something changed last, and whether it is listed as fresh.
type change struct {
	seq    uint64
	listed bool
}

// others is the slot of the pairs that share one book.
const others = 0

func newBooks() books {
	b := books{slots: make(map[pair]int), windows: newWindows()}
	b.open(contract.OtherBooks, contract.OtherBooks)
	return b
}

// open begins a book, and gives its slot.
func (b *books) open(queue, typ string) int {
	b.list = append(b.list, &book{queue: queue, typ: typ})
	b.windows.names = append(b.windows.names, queue+"."+typ)
	return len(b.list) - 1
}

// slot finds the book of a pair, making it where there is none. Beyond the bound pairs share one.
func (b *books) slot(queue, kind uint32, queues, types *names) int {
	p := pair{queue, kind}
	if i, ok := b.slots[p]; ok {
		return i
	}
	i := others
	if len(b.list) <= contract.MaxBooks {
		i = b.open(queues.list[queue], types.list[kind])
	}
	b.slots[p] = i
	return i
}

// move takes out what a job was and puts in what it is, at the event seq.
func (b *books) move(from int, before []mark, to int, after []mark, seq uint64) {
	if from == to {
		before, after = differ(before, after)
	}
	for i := range before {
		b.put(from, &before[i], -1, seq)
	}
	for i := range after {
		b.put(to, &after[i], 1, seq)
	}
}

func (b *books) put(slot int, m *mark, sign int64, seq uint64) {
	k := b.list[slot]
	m.into(&b.total, sign)
	m.into(&k.Totals, sign)
	b.note(k, seq)
	if m.at != 0 {
		b.windows.put(slot, m, sign, seq)
	}
}

// into adds the mark to totals.
func (m *mark) into(t *contract.Totals, sign int64) {
	if m.key < firstStage {
		t.Sums[m.key] += sign * m.n
	} else {
		t.Latency[m.key-firstStage].Add(m.n, sign)
	}
}

func (b *books) note(k *book, seq uint64) {
	k.seq = seq
	if !k.listed {
		k.listed = true
		b.fresh = append(b.fresh, k)
	}
}

// retire notes that the document of a job goes, whose sums stay.
func (b *books) retire(slot int, marks []mark, seq uint64) {
	k := b.list[slot]
	if k.retired == nil {
		k.retired = new(contract.Totals)
	}
	for i := range marks {
		marks[i].into(k.retired, 1)
	}
	b.note(k, seq)
}

// admit puts in a job from its document; the windows of it were read.
func (b *books) admit(slot int, marks []mark) {
	b.days.put(slot, marks)
	for i := range marks {
		marks[i].into(&b.total, 1)
		marks[i].into(&b.list[slot].Totals, 1)
	}
}

// gone is how many jobs have no document any more.
func (b *books) gone() (n int64) {
	for _, k := range b.list {
		if k.retired != nil {
			n += k.retired.Sums.Jobs()
		}
	}
	return n
}

// by gives the sums of the books by a name.
func (b *books) by(name func(*book) string) map[string]contract.Sum {
	return contract.SumsBy(iter.Seq2[string, *contract.Sums](func(yield func(string, *contract.Sums) bool) {
		for _, k := range b.list {
			if !yield(name(k), &k.Sums) {
				return
			}
		}
	}))
}

// crossed counts the cells whose total is not the sum over the books: the check that is cheap enough for
// every commit.
func (b *books) crossed() int {
	var all contract.Sums
	for _, k := range b.list {
		all.Add(&k.Sums, 1)
	}
	return b.total.Sums.Off(&all)
}

// saved forgets what the bucket holds, which is all that changed up to seq.
func (b *books) saved(seq uint64) {
	b.fresh = stillFresh(b.fresh, seq, func(k *book) *change { return &k.change })
	b.windows.fresh = stillFresh(b.windows.fresh, seq, func(p *page) *change { return &p.change })
}

func stillFresh[T any](list []*T, seq uint64, of func(*T) *change) []*T {
	kept := list[:0]
	for _, v := range list {
		if c := of(v); c.seq > seq {
			kept = append(kept, v)
		} else {
			c.listed = false
		}
	}
	clear(list[len(kept):])
	return kept
}

// unsaved is how many documents a commit writes for the books.
func (b *books) unsaved() int { return len(b.fresh) + len(b.windows.fresh) }

// documents are the books that changed since they were saved, as far as they fit a commit at the event seq;
// the rest is left for the next.
func (b *books) documents(seq uint64, most int) []contract.Book {
	docs := make([]contract.Book, 0, b.unsaved())
	for _, k := range b.fresh {
		docs = append(docs, k.document())
	}
	for _, p := range b.windows.fresh {
		if len(docs) >= most {
			p.seq = seq + 1
			continue
		}
		k := b.list[p.slot]
		docs = append(docs, p.document(k.queue, k.typ))
	}
	return docs
}

// all gives every document of the books.
func (b *books) all() iter.Seq[contract.Book] {
	return func(yield func(contract.Book) bool) {
		for _, k := range b.list {
			if !yield(k.document()) {
				return
			}
		}
		for _, p := range b.windows.pages {
			if k := b.list[p.slot]; !yield(p.document(k.queue, k.typ)) {
				return
			}
		}
	}
}

func (k *book) document() contract.Book {
	d := contract.Book{V: contract.BookVersion, Queue: k.queue, Type: k.typ, Figures: k.Totals.Figures()}
	if k.retired != nil {
		f := k.retired.Figures()
		d.Retired = &f
	}
	return d
}

// read takes a document in: of a window all of it, of a book what the jobs' documents cannot give back. The
// rest of a book is what they must give.
func (b *books) read(d *contract.Book, queues, types *names) error {
	if d.V != contract.BookVersion {
		return fmt.Errorf("%s: version %d of a book is not known here", d.Key(), d.V)
	}
	slot := others
	if d.Queue != contract.OtherBooks {
		slot = b.slot(queues.number(d.Queue), types.number(d.Type), queues, types)
	}
	if d.Span != "" {
		return b.windows.read(d, slot)
	}
	if d.Retired != nil {
		k := b.list[slot]
		k.retired = new(contract.Totals)
		k.retired.Add(d.Retired, 1)
		k.Totals.Add(d.Retired, 1)
		b.total.Add(d.Retired, 1)
	}
	return nil
}

// off counts the sums in which the books, all of them loaded, differ from their documents.
func (b *books) off(docs []contract.Book) (n int) {
	want := make(map[[2]string]*contract.Totals)
	for i := range docs {
		t := new(contract.Totals)
		t.Add(&docs[i].Figures, 1)
		want[[2]string{docs[i].Queue, docs[i].Type}] = t
	}
	nothing := new(contract.Totals)
	for _, k := range b.list {
		name := [2]string{k.queue, k.typ}
		t := want[name]
		if t == nil {
			t = nothing
		}
		delete(want, name)
		n += k.Sums.Off(&t.Sums)
		for i := range t.Latency {
			if t.Latency[i] != k.Latency[i] {
				n++
			}
		}
	}
	n += b.days.off(b)
	b.days = nil
	return n + len(want)
}
