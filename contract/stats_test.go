package contract

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestStatsBeginAsTheOriginals: programs written for the original read these three keys, and people look
// at the first of them.
func TestStatsBeginAsTheOriginals(t *testing.T) {
	t.Parallel()
	b, err := json.Marshal(Stats{SucceedJob: 1, JobRetry: 2, FailedJob: 3})
	if want := `{"succeedJob":1,"jobRetry":2,"failedJob":3,`; err != nil || !strings.HasPrefix(string(b), want) {
		t.Errorf("%v %s", err, b)
	}
}

func TestJobCountsHaveEveryState(t *testing.T) {
	t.Parallel()
	var c JobCounts
	for i, s := range States() {
		n := c.Of(s)
		if n == nil || *n != 0 {
			t.Fatalf("%s has no count of its own", s)
		}
		*n = i + 1
	}
	if c.Of("done") != nil || c.Of("submitted") != nil {
		t.Error("a word outside of the set has a count")
	}
	if c.Submitted != 0 {
		t.Error("submitted is a sum, not a state")
	}
}
