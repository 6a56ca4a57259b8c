package audit

import (
	"encoding/json"
	"testing"

	"github.com/jonboulle/clockwork"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// A book or window that somebody removed is missed; one in which nothing is counted need not be there.
func TestABookThatWasRemovedIsMissed(t *testing.T) {
	t.Parallel()
	clock := clockwork.NewFakeClock()
	book := contract.Book{V: contract.BookVersion, Queue: "default", Type: "probe"}
	window := contract.Book{V: contract.BookVersion, Queue: "default", Type: "probe", Span: contract.Minute, At: contract.At(clock.Now())}
	empty := contract.Book{V: contract.BookVersion, Queue: contract.OtherBooks, Type: contract.OtherBooks}
	book.Sums[contract.CellSucceedJob], window.Sums[contract.CellSucceedJob] = 7, 7
	l := &log{info: stream.Info{First: 1, Last: 10}, whole: true, docs: map[string][]byte{}}
	for _, b := range []*contract.Book{&book, &window, &empty} {
		value, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		l.books = append(l.books, stream.Entry{Key: b.Key(), Value: value})
	}
	l.books = append(l.books, stream.Entry{Key: contract.KeyStats, Value: []byte(tenth)})
	without := func(key string) contract.AuditReport {
		ledger := shelf{}
		for _, e := range l.books {
			if e.Key != key && e.Key != empty.Key() {
				ledger.put(e.Key, string(e.Value), 1)
			}
		}
		return twice(t, Options{Events: l, Replay: func() Replay { return l }, Ledger: ledger, Claims: shelf{}}, clockwork.NewFakeClockAt(clock.Now()))
	}
	r := without("")
	nothingFound(t, &r)
	for _, b := range []*contract.Book{&book, &window} {
		r := without(b.Key())
		onlyFound(t, &r, contract.StatsDiffer, b.Key()+" is not there")
	}
	l.whole, l.info.First = false, 4 // then nobody knows what must be there
	r = without(book.Key())
	nothingFound(t, &r)
}
