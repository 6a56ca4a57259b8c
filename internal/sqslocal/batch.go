package sqslocal

import "regexp"

// entry is one of a batch; its Id is the client's and only names it in the answer.
type entry interface{ entryID() string }

// batchFailure is an entry that was refused while the others went on.
type batchFailure struct {
	ID          string `json:"Id"`
	Code        string
	Message     string
	SenderFault bool
}

// batchOutput is the answer to any batch.
type batchOutput[T any] struct {
	Successful []T            `json:",omitempty"`
	Failed     []batchFailure `json:",omitempty"`
}

var entryIDForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// checkBatch refuses a batch that AWS refuses as a whole.
func checkBatch[E entry](entries []E) error {
	if len(entries) == 0 {
		return emptyBatchRequest.errorf("There should be at least one entry in the request.")
	}
	if len(entries) > maxBatchEntries {
		return tooManyEntries.errorf("Maximum number of entries per request are %d. You have sent %d.", maxBatchEntries, len(entries))
	}
	seen := map[string]bool{}
	for _, e := range entries {
		id := e.entryID()
		if !entryIDForm.MatchString(id) {
			return invalidBatchEntryID.errorf("A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most %d letters long.", maxEntryIDLength)
		}
		if seen[id] {
			return batchEntryIdsNotDistinct.errorf("Id %s repeated.", id)
		}
		seen[id] = true
	}
	return nil
}

// runBatch does each entry's work. A refusal fails its entry; anything else fails all.
func runBatch[E entry, T any](entries []E, work func(E) (T, error)) (*batchOutput[T], error) {
	out := &batchOutput[T]{}
	for _, e := range entries {
		done, err := work(e)
		switch refusal := refusalOf(err); {
		case err == nil:
			out.Successful = append(out.Successful, done)
		case refusal == nil:
			return nil, err
		default:
			out.Failed = append(out.Failed, batchFailure{
				ID: e.entryID(), Code: refusal.kind.query, Message: refusal.Message,
				SenderFault: refusal.kind.fault == senderFault,
			})
		}
	}
	return out, nil
}
