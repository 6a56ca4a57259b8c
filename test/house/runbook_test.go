package house

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"tallyman/contract"
)

// sections splits a document at its second headings.
func sections(text string) map[string]string {
	all := make(map[string]string)
	for _, s := range strings.Split(text, "\n## ")[1:] {
		title, body, _ := strings.Cut(s, "\n")
		all[title] = body
	}
	return all
}

// The runbook has a section for every reason of the closed set, which says what it means, shows how to see
// it, and says what to do; and none for a reason that there is not.
func TestTheRunbookHasEveryReason(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(at("docs/runbook.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := sections(string(b))
	shown := regexp.MustCompile(`(?s)` + "```\n" + `.*(curl|kubectl|nats) .*` + "\n```")
	for _, r := range contract.Reasons() {
		body, ok := all[string(r)]
		if !ok {
			t.Errorf("there is no section of %s", r)
			continue
		}
		for _, part := range []string{"**Means.** ", "**See it.**", "**Do.** "} {
			if strings.Count(body, part) != 1 {
				t.Errorf("%s: its section has no %s", r, part)
			}
		}
		if !shown.MatchString(body) {
			t.Errorf("%s: its section shows no command", r)
		}
		delete(all, string(r))
	}
	for title := range all {
		if regexp.MustCompile(`^[A-Z][A-Za-z]+$`).MatchString(title) {
			t.Errorf("%s is the section of no reason", title)
		}
	}
	if len(all) == 0 {
		t.Error("nothing else is in the runbook: this test looks for the wrong headings")
	}
}
