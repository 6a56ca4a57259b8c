package model

// The books' model: two aggregators that both believe to lead, a stream of a few events, and the bucket. An
// event is a job's only fact, so the books are right if each document is there that the checkpoint counts.

const (
	bookEvents  = 3
	bookWriters = 2
)

type writerState uint8

const (
	idle    writerState = iota // it holds nothing
	loading                    // it has read the documents, and not yet the checkpoint for the second time
	warm                       // it folds and commits
)

// bucket is what is stored.
type bucket struct {
	documents uint8 // a bit for each event that has one
	sum       uint8 // of the stats
	seq       uint8 // of the checkpoint: what has been counted
	revision  uint8 // of the checkpoint
}

// writer is one aggregator.
type writer struct {
	state writerState
	held  bucket // as it was loaded or committed last
	seq   uint8  // folded so far, in memory
	sum   uint8
	dirty uint8 // documents that changed since
}

type books struct {
	stored  uint8 // events on the stream
	bucket  bucket
	writers [bookWriters]writer
	kills   uint8
	unknown uint8 // commits whose answer may be lost
}

// newBooks is the books' machine. Without a fence a commit overwrites whatever is there.
func newBooks(fenced bool) *machine[books] {
	return &machine[books]{
		begin: books{kills: 2, unknown: 1},
		next:  func(s *books, steps []step[books]) []step[books] { return s.next(fenced, steps) },
		never: func(s *books) string { return s.bucket.wrong() },
		rest: func(s *books) string {
			if s.bucket.seq < bookEvents {
				return "events that nobody counts"
			}
			return ""
		},
	}
}

// wrong holds the bucket to itself: each commit must be of one moment.
func (b *bucket) wrong() string {
	counted := uint8(1)<<b.seq - 1
	switch {
	case b.documents&counted != counted:
		return "an event that the checkpoint has counted has no document"
	case b.documents != counted:
		return "documents are newer than the checkpoint"
	case b.sum != b.seq:
		return "the sums are not those of the documents"
	}
	return ""
}

func (s *books) next(fenced bool, steps []step[books]) []step[books] {
	if s.stored < bookEvents {
		to := *s
		to.stored++
		steps = append(steps, step[books]{name: "the world", note: "an event is stored", class: own, to: to})
	}
	for i := range s.writers {
		steps = s.write(i, fenced, steps)
	}
	return steps
}

// write is what one aggregator may do.
func (s *books) write(i int, fenced bool, steps []step[books]) []step[books] {
	w := s.writers[i]
	add := func(c class, name, note string, change func(to *books, w *writer)) {
		to := *s
		change(&to, &to.writers[i])
		if to != *s {
			steps = append(steps, step[books]{name: name, note: note, class: c, to: to})
		}
	}
	who := string('A' + rune(i))
	switch w.state {
	case idle:
		add(own, "aggregator.load", who+" reads checkpoint and documents", func(to *books, w *writer) {
			*w = writer{state: loading, held: to.bucket, seq: to.bucket.seq, sum: to.bucket.sum}
		})
	case loading:
		add(own, "aggregator.load", who+" reads the checkpoint again", func(to *books, w *writer) {
			if w.state = warm; to.bucket.revision != w.held.revision {
				*w = writer{}
			}
		})
	case warm:
		if w.seq < s.stored {
			add(own, "aggregator.take", who+" folds an event", func(_ *books, w *writer) {
				w.dirty |= 1 << w.seq
				w.seq++
				w.sum++
			})
		}
		if w.dirty != 0 {
			add(own, "aggregator.commit", who+" commits", func(to *books, _ *writer) { to.commit(i, fenced, true) })
			if s.unknown > 0 {
				add(fault, "aggregator.commit", who+" commits and is not told", func(to *books, _ *writer) {
					to.unknown--
					to.commit(i, fenced, false)
				})
			}
		}
	}
	if w.state != idle && s.kills > 0 {
		add(fault, "the world", who+" is killed", func(to *books, w *writer) { to.kills--; *w = writer{} })
	}
	return steps
}

// commit writes one batch: what changed, the sums, and last the checkpoint over the revision that it follows.
// Who is refused, or is not told, drops what it holds and loads again.
func (s *books) commit(i int, fenced, told bool) {
	w := &s.writers[i]
	if fenced && s.bucket.revision != w.held.revision {
		*w = writer{}
		return
	}
	s.bucket = bucket{documents: s.bucket.documents | w.dirty, sum: w.sum, seq: w.seq, revision: s.bucket.revision + 1}
	if !told {
		*w = writer{}
		return
	}
	w.held, w.dirty = s.bucket, 0
}
