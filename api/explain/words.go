package explain

import (
	"fmt"
	"strings"
	"time"
)

// count says a number of things: "no other job", "1 other job", "12 other jobs".
func count(n int, one string) string {
	switch n {
	case 0:
		return "no " + one
	case 1:
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// span says a duration as a person would: 3s, 4m, 2h 5m, 3d.
func span(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return strings.TrimSuffix(fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60), " 0m")
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// ago says how long ago t was.
func (f *Facts) ago(t time.Time) string { return span(f.Now.Sub(t)) + " ago" }

// in says when something that is to come, comes: "in 9s, at 14:03:10 UTC".
func (f *Facts) in(t time.Time) string {
	if !t.After(f.Now) {
		return "now"
	}
	return "in " + span(t.Sub(f.Now).Round(time.Second)) + ", at " + clock(t)
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

// quoted is somebody else's words in ours, on one line and not too long.
func quoted(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 300 {
		text = string(r[:299]) + "…"
	}
	return text
}

// because adds somebody else's words behind a colon, where there are any.
func because(sentence string, words ...string) string {
	for _, w := range words {
		if w = strings.TrimRight(quoted(w), ". "); w != "" {
			return sentence + ": " + w
		}
	}
	return sentence
}
