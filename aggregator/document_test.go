package aggregator

import (
	"encoding/json"
	"testing"

	"tallyman/contract"
)

// decoded reads a document as everybody else does, and holds its bytes to those of encoding/json.
func decoded(t testing.TB, document []byte) (d contract.Job) {
	t.Helper()
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	if b, err := json.Marshal(&d); err != nil || string(b) != string(document) {
		t.Fatalf("the document is\n%s\nencoding/json says\n%s\n%v", document, b, err)
	}
	return d
}

// What is written by hand is what encoding/json would write, for any set of facts.
func TestDocumentsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		a := newAuthor(seed)
		a.chaos(1+a.rng.IntN(20), 10+a.rng.IntN(300))
		l := fill(newLedger(testRules), a.check(t))
		var j job
		for id, p := range l.jobs {
			p.unpack(&j)
			if d := decoded(t, j.document(nil, id, l.queues.list, l.types.list)); d.State != j.state() || d.JobID != id.String() {
				t.Fatalf("%s: %+v", id, d)
			}
		}
	}
}
