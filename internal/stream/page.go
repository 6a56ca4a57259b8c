package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"tallyman/contract"
)

// MaxPage is how many events one Page has at most, and PageBytes what they weigh, but for the last. A Page is small,
// for many readers keep one each; one reader alone reads all of a kind.
const (
	MaxPage   = 1000
	PageBytes = 256 << 10
	kindBytes = 4 << 20
)

// directGet is where messages are asked for without a consumer, nor a look at the stream before.
const directGet = "$JS.API.DIRECT.GET." + contract.StreamEvents

// pageRequest asks for messages without a consumer (ADR-31).
type pageRequest struct {
	Seq       uint64     `json:"seq,omitempty"`
	StartTime *time.Time `json:"start_time,omitempty"`
	NextBy    string     `json:"next_by_subj"`
	Batch     int        `json:"batch"`
	MaxBytes  int        `json:"max_bytes"`
}

// Page reads up to limit events from a sequence on, oldest first; none where there is nothing (yet). It makes
// no consumer, so that many may read the past. A server that is behind may not have the newest yet.
// Sequences that the stream no longer has are jumped over.
func (s *Stream) Page(ctx context.Context, from uint64, limit int) ([]Stored, error) {
	return s.page(ctx, pageRequest{Seq: max(from, 1), Batch: min(limit, MaxPage), NextBy: ">", MaxBytes: PageBytes})
}

// PageOf is Page of the events of one kind, of which it gives more at a time.
func (s *Stream) PageOf(ctx context.Context, kind contract.Kind, from uint64, limit int) ([]Stored, error) {
	return s.page(ctx, pageRequest{
		Seq: max(from, 1), Batch: min(limit, MaxPage), NextBy: contract.StoredOfKind(kind), MaxBytes: kindBytes,
	})
}

// Since gives the sequence of the first event that was stored at a moment or later; ErrNotFound where all
// are older.
func (s *Stream) Since(ctx context.Context, at time.Time) (uint64, error) {
	events, err := s.page(ctx, pageRequest{StartTime: &at, Batch: 1, NextBy: ">", MaxBytes: PageBytes})
	if err == nil && len(events) == 0 {
		err = fmt.Errorf("event since %s: %w", at.Format(time.RFC3339), ErrNotFound)
	}
	if err != nil {
		return 0, err
	}
	return events[0].Seq, nil
}

func (s *Stream) page(ctx context.Context, r pageRequest) ([]Stored, error) {
	ctx, cancel := bound(ctx)
	defer cancel()
	b, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	inbox := s.nc.NewInbox()
	sub, err := s.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, wrap(err, "read stream", contract.StreamEvents)
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only where the connection is gone, and with it the subscription
	if err := s.nc.PublishRequest(directGet, inbox, b); err != nil {
		return nil, wrap(err, "read stream", contract.StreamEvents)
	}
	var events []Stored
	for len(events) <= r.Batch {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return nil, wrap(err, "read stream", contract.StreamEvents)
		}
		switch status := m.Header.Get("Status"); status {
		case "":
		case "204", "404": // the end of the page; nothing there
			return events, nil
		default:
			return nil, wrap(fmt.Errorf("%s %s", status, m.Header.Get("Description")), "read stream", contract.StreamEvents)
		}
		st, err := storedOf(m)
		if err != nil {
			return nil, wrap(err, "read stream", contract.StreamEvents)
		}
		events = append(events, st)
	}
	return nil, wrap(errors.New("the page has no end"), "read stream", contract.StreamEvents)
}

// storedOf reads what the server says of a message in its headers.
func storedOf(m *nats.Msg) (st Stored, err error) {
	if st.Seq, err = strconv.ParseUint(m.Header.Get("Nats-Sequence"), 10, 64); err != nil {
		return st, err
	}
	if pending := m.Header.Get("Nats-Num-Pending"); pending != "" { // one alone does not say it
		if st.Pending, err = strconv.ParseUint(pending, 10, 64); err != nil {
			return st, err
		}
	}
	if st.At, err = time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp")); err != nil {
		return st, err
	}
	st.decode(m)
	return st, nil
}
