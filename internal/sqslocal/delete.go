package sqslocal

type deleteMessageInput struct {
	QueueURL      string `json:"QueueUrl"`
	ReceiptHandle string
}

type deleteMessageBatchInput struct {
	QueueURL string `json:"QueueUrl"`
	Entries  []deleteEntry
}

type deleteEntry struct {
	ID            string `json:"Id"`
	ReceiptHandle string
}

func (e deleteEntry) entryID() string { return e.ID }

// entryDone is all that a batch says of an entry that needs no answer.
type entryDone struct {
	ID string `json:"Id"`
}

// nothing is the answer of an operation that only says that it was done.
type nothing struct{}

func deleteMessage(c *call, in *deleteMessageInput) (nothing, error) {
	return nothing{}, c.do(c.ctx, func(t *tx) error {
		q, err := t.open(in.QueueURL)
		if err != nil {
			return err
		}
		return t.deleteByHandle(q, in.ReceiptHandle)
	})
}

func deleteMessageBatch(c *call, in *deleteMessageBatchInput) (out *batchOutput[entryDone], err error) {
	if err := checkBatch(in.Entries); err != nil {
		return nil, err
	}
	err = c.do(c.ctx, func(t *tx) error {
		q, err := t.open(in.QueueURL)
		if err != nil {
			return err
		}
		out, err = runBatch(in.Entries, func(e deleteEntry) (entryDone, error) {
			return entryDone{e.ID}, t.deleteByHandle(q, e.ReceiptHandle)
		})
		return err
	})
	return out, err
}

func (t *tx) deleteByHandle(q *queue, handle string) error {
	r, err := parseReceipt(handle, q.id)
	if err != nil {
		return err
	}
	return t.remove(q, r)
}
