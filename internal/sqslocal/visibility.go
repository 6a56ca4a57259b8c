package sqslocal

type changeVisibilityInput struct {
	QueueURL          string `json:"QueueUrl"`
	ReceiptHandle     string
	VisibilityTimeout *int
}

type changeVisibilityBatchInput struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []visibilityEntry
}

type visibilityEntry struct {
	ID                string `json:"Id"`
	ReceiptHandle     string
	VisibilityTimeout *int
}

func (e visibilityEntry) entryID() string { return e.ID }

func changeVisibility(c *call, in *changeVisibilityInput) (nothing, error) {
	return nothing{}, c.do(c.ctx, func(t *tx) error {
		q, err := t.open(in.QueueURL)
		if err != nil {
			return err
		}
		return t.changeByHandle(q, in.ReceiptHandle, in.VisibilityTimeout)
	})
}

func changeVisibilityBatch(c *call, in *changeVisibilityBatchInput) (out *batchOutput[entryDone], err error) {
	if err := checkBatch(in.Entries); err != nil {
		return nil, err
	}
	err = c.do(c.ctx, func(t *tx) error {
		q, err := t.open(in.QueueURL)
		if err != nil {
			return err
		}
		out, err = runBatch(in.Entries, func(e visibilityEntry) (entryDone, error) {
			return entryDone{e.ID}, t.changeByHandle(q, e.ReceiptHandle, e.VisibilityTimeout)
		})
		return err
	})
	return out, err
}

func (t *tx) changeByHandle(q *queue, handle string, seconds *int) error {
	r, err := parseReceipt(handle, q.id)
	if err != nil {
		return err
	}
	if seconds == nil {
		return missing("VisibilityTimeout")
	}
	if *seconds < 0 || *seconds > maxVisibility {
		return invalidValue(*seconds, "VisibilityTimeout", "Must be between 0 and 43200.")
	}
	return t.setVisibility(q, handle, r, *seconds)
}
