package figures

import (
	"strings"
	"testing"
)

// A bar is reached only beside a reference; what is merely told needs none.
func TestABarNeedsAReference(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		reference float64
		bar       Bar
		good      bool
		mark      string
	}{
		{"reached", 2, AtMost(10), true, "ok"},
		{"missed", 2, AtMost(1), false, "BELOW"},
		{"beside nothing", 0, AtMost(10), false, "NO REFERENCE"},
		{"beside less than nothing", -1, AtMost(10), false, "NO REFERENCE"},
		{"told", 0, None(), true, "ok"},
	} {
		var table Table
		table.Add(c.name, 5, "s", c.reference, c.bar)
		var printed strings.Builder
		table.Print(&printed)
		if table.Good() != c.good || !strings.HasSuffix(strings.TrimSpace(printed.String()), c.mark) {
			t.Errorf("%s: good is %v, printed\n%s", c.name, table.Good(), &printed)
		}
	}
}
