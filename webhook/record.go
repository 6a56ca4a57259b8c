package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// record is a webhook's state as it was read or written last.
type record struct {
	contract.WebhookState
	revision uint64
}

// load reads the record of a webhook; found is false for one that was never delivered to.
func load(ctx context.Context, records Records, name string) (r record, found bool, err error) {
	e, err := records.Get(ctx, contract.WebhookStateKey(name))
	if errors.Is(err, stream.ErrNotFound) {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, err
	}
	if err := json.Unmarshal(e.Value, &r.WebhookState); err != nil {
		return record{}, false, fmt.Errorf("record of webhook %s: %w", name, err)
	}
	if r.V != contract.WebhookVersion {
		return record{}, false, fmt.Errorf("record of webhook %s: version %d is not known; it was written by a newer build", name, r.V)
	}
	r.revision = e.Revision
	return r, true, nil
}

// begin lets delivery go on behind a sequence. What was known of events behind it means nothing any more.
func (r *record) begin(seq uint64) {
	r.Seq, r.Reached, r.Open, r.Failing = seq, 0, nil, nil
}

// save writes the record, and gives errReload where somebody else has: one who leads now.
func (r *record) save(ctx context.Context, records Records, name string) error {
	r.V = contract.WebhookVersion
	b, err := json.Marshal(&r.WebhookState)
	if err != nil {
		return err
	}
	key, revision := contract.WebhookStateKey(name), uint64(0)
	if r.revision == 0 {
		revision, err = records.Create(ctx, key, b)
	} else {
		revision, err = records.Update(ctx, key, b, r.revision)
	}
	if errors.Is(err, stream.ErrConflict) {
		return errReload
	}
	if err != nil {
		return err
	}
	r.revision = revision
	return nil
}

func decodeOrder(b []byte) (o contract.WebhookOrder, err error) {
	if err := json.Unmarshal(b, &o); err != nil {
		return o, err
	}
	if o.V != contract.WebhookVersion || o.ID == "" || o.From == 0 {
		return o, fmt.Errorf("version %d, id %q, from %d are no order", o.V, o.ID, o.From)
	}
	return o, nil
}
