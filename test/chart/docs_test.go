package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const permissions = "../../docs/permissions.md"

// The table of docs/permissions.md is the one that a real server was asked; -update writes it.
func TestPermissionsDocumentIsTheTable(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(permissions)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), "<!-- rights -->\n")
	_, after, closed := strings.Cut(rest, "<!-- /rights -->")
	if !ok || !closed {
		t.Fatal("docs/permissions.md has no table between <!-- rights --> and <!-- /rights -->")
	}
	table := "| act | subject | who |\n|---|---|---|\n"
	for _, act := range acts {
		var who []string
		for _, user := range act.who {
			if user != "admin" {
				who = append(who, user)
			}
		}
		verb := "publish"
		if !act.publish {
			verb = "subscribe"
		}
		table += fmt.Sprintf("| %s | %s `%s` | %s |\n", act.what, verb, act.subject, strings.Join(who, ", "))
	}
	want := before + "<!-- rights -->\n" + table + "<!-- /rights -->" + after
	if *update {
		if err := os.WriteFile(permissions, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	} else if want != string(b) {
		t.Error("docs/permissions.md shows another table than the one that is tested: run with -update")
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Every block of values in the documents is one that the chart takes.
func TestDocumentedValuesAreTaken(t *testing.T) {
	t.Parallel()
	n := 0
	for _, doc := range []string{"install.md", "queues-and-images.md", "upgrading.md"} {
		b, err := os.ReadFile("../../docs/" + doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range yamlBlock.FindAllStringSubmatch(string(b), -1) {
			n++
			file := filepath.Join(t.TempDir(), "values.yaml")
			if err := os.WriteFile(file, []byte(m[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			flags := []string{"-f", file}
			if !strings.Contains(m[1], "nats:") {
				flags = append(flags, "--set", "nats.bundled=true,sqs.bundled=true")
			}
			if _, err := template(t, "helm4", flags...); err != nil {
				t.Errorf("docs/%s: %v in\n%s", doc, err, m[1])
			}
		}
	}
	if n < 3 {
		t.Errorf("only %d blocks were found: this test looks for the wrong thing", n)
	}
}

var setting = regexp.MustCompile("`([a-zA-Z]+)`")

// Every setting of a queue is in the table of docs/queues-and-images.md, and the table names no other.
func TestEverySettingOfAQueueIsDocumented(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/queues-and-images.md")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	readJSON(t, chartDir+"/values.schema.json", &schema)
	left := schema.Defs["queue"].Properties
	for _, line := range strings.Split(string(b), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			continue
		}
		for _, m := range setting.FindAllStringSubmatch(cells[1], -1) {
			if _, ok := left[m[1]]; !ok {
				t.Errorf("docs/queues-and-images.md names %q, which is no setting of a queue, or twice", m[1])
			}
			delete(left, m[1])
		}
	}
	for name := range left {
		t.Errorf("docs/queues-and-images.md does not name %q", name)
	}
}
