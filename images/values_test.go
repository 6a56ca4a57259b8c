package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// template renders the chart as one that is installed to try it out, with this file of values.
func template(t *testing.T, file string) string {
	t.Helper()
	return must(t, checkout(t).Root, tool(t, "helm3"), "template", "tallyman", "charts/tallyman", "--values", file,
		"--set", "nats.bundled=true", "--set", "sqs.bundled=true")
}

// What `make images OUT=images.yaml` writes, Helm takes as it stands: every image of the chart is the one that was built. A
// tag of twelve digits is a tag, and no number.
func TestTheChartTakesWhatWasBuilt(t *testing.T) {
	t.Parallel()
	for registry, pushed := range map[string]bool{"registry.example:5000/a/b": true, "registry.example": true, "tallyman": false} {
		digest := "@sha256:" + strings.Repeat("0123456789abcdef", 4)
		said, want := make(map[string]any), []string{}
		for _, r := range catalog() {
			tagged := registry + "/" + r.Name + ":012345678901"
			said[r.Name] = tagged + digest
			switch {
			case r.Name == "own-image":
			case pushed:
				want = append(want, tagged+digest)
			default:
				want = append(want, tagged)
			}
		}
		file := filepath.Join(t.TempDir(), "images.yaml")
		o := Options{Out: file, Push: pushed}
		var printed strings.Builder
		if err := o.say(said, &printed); err != nil {
			t.Fatal(err)
		}
		if !json.Valid([]byte(printed.String())) {
			t.Errorf("it printed what is no JSON: %s", printed.String())
		}
		got := make(map[string]bool)
		for _, m := range imageLine.FindAllStringSubmatch(template(t, file), -1) {
			got[m[1]] = true
		}
		for _, ref := range want {
			if !got[ref] {
				t.Errorf("nothing runs %s; there are %v", ref, got)
			}
			delete(got, ref)
		}
		if len(got) > 0 {
			t.Errorf("with images of %s, these too run: %v", registry, got)
		}
	}
}

// The file is of what was built alone: the chart's own names stay for the rest.
func TestValuesOfOneImage(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "images.yaml")
	refs := build(t, nil, "--push", "--registry", newRegistry(t)+"/p", "--only", "aggregator", "--out", file)
	rendered := template(t, file)
	if !strings.Contains(rendered, refs["aggregator"]) || !strings.Contains(rendered, "tallyman/api:0.1.0") {
		b, err := os.ReadFile(file)
		t.Errorf("with these values (%v) the chart does not run %s beside its own:\n%s", err, refs["aggregator"], b)
	}
}
