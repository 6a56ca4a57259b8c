package bridge

import (
	"context"
	"encoding/json"
	"errors"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// Ledger is the bucket "jobs", watched; stream.ErrAnew where it was made anew. *stream.Bucket fills it.
type Ledger interface {
	Watch(ctx context.Context, filter string, fn func(stream.Entry) error, loaded func() error) error
}

// watchForGaps says all claims again whenever the ledger has found that the stream lost events: what they
// said is in the claims still, and the fold drops what it has. Books that were made anew tell of gaps as the old ones did.
func (b *Bridge) watchForGaps(ctx context.Context) error {
	var said uint64 // the gap that was answered last
	for {
		if err := b.watchBooks(ctx, &said); !errors.Is(err, stream.ErrAnew) {
			return err
		}
	}
}

func (b *Bridge) watchBooks(ctx context.Context, said *uint64) error {
	return b.o.Ledger.Watch(ctx, contract.KeyStats, func(e stream.Entry) error {
		var s struct {
			Balance contract.Balance `json:"balance"`
		}
		if e.Deleted || json.Unmarshal(e.Value, &s) != nil || !s.Balance.Gap || s.Balance.GapTo == *said {
			return nil
		}
		b.o.Log.Warn("the stream has lost events; all claims are said again", "gapAt", s.Balance.GapAt, "gapTo", s.Balance.GapTo)
		if err := b.SayAll(ctx); err != nil {
			return err
		}
		*said = s.Balance.GapTo
		return nil
	}, func() error { return nil })
}
