package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"tallyman/contract"
	"tallyman/internal/stream"
)

// mark is the stream that was audited before: when it was made, and how far it had come.
type mark struct {
	Created contract.Time `json:"created"`
	Last    uint64        `json:"last"`
}

// readMark gives the zero mark where nothing was audited before.
func (a *Auditor) readMark(ctx context.Context) (m mark, err error) {
	e, err := a.o.Records.Get(ctx, contract.KeyStreamMark)
	if errors.Is(err, stream.ErrNotFound) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(e.Value, &m); err != nil {
		return m, fmt.Errorf("%s/%s: %w; remove it with: nats kv del %s %s",
			contract.BucketAudit, contract.KeyStreamMark, err, contract.BucketAudit, contract.KeyStreamMark)
	}
	return m, nil
}

// replaced tells whether the stream is another than the mark's, or an older copy of it.
func (m *mark) replaced(info stream.Info) []suspicion {
	same := m.Created.Time.Equal(contract.At(info.Created).Time)
	if m.Created.IsZero() || same && info.Last >= m.Last {
		return nil
	}
	f := contract.Finding{
		Kind: contract.StreamReplaced, Key: contract.StreamEvents, Seq: m.Last,
		Says: fmt.Sprintf("the stream %s was made anew at %s; the one that was audited before was made at %s and had come to event %d",
			contract.StreamEvents, contract.At(info.Created), m.Created, m.Last),
		Do: fmt.Sprintf("stop the aggregator and restore the stream from its backup; or, where it was meant to begin anew, run: nats kv del %s %s",
			contract.BucketAudit, contract.KeyStreamMark),
	}
	if same {
		f.Says = fmt.Sprintf("the stream %s was set back: it ends at event %d, and had come to %d", contract.StreamEvents, info.Last, m.Last)
	}
	return []suspicion{{finding: f}}
}

// keepMark writes down how far the stream has come, unless it is another: that is for a person to settle.
func (a *Auditor) keepMark(ctx context.Context) error {
	info, err := a.o.Events.Info(ctx)
	if err != nil {
		return err
	}
	m, err := a.readMark(ctx)
	if err != nil || len(m.replaced(info)) > 0 {
		return err
	}
	value, err := json.Marshal(mark{Created: contract.At(info.Created), Last: info.Last})
	if err != nil {
		return fmt.Errorf("encode %s: %w", contract.KeyStreamMark, err)
	}
	_, err = a.o.Records.Put(ctx, contract.KeyStreamMark, value)
	return err
}
