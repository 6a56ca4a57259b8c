package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"tallyman/test/bench/figures"
)

// What was measured before and behind a suite that fails is kept, and the exit code tells of it.
func TestASuiteThatFailsKeepsTheOthers(t *testing.T) {
	t.Chdir(t.TempDir())
	all := suites
	defer func() { suites = all }()
	good := func(_ context.Context, t *figures.Table) error {
		t.Add("one", 1, "s", 1, figures.AtMost(2))
		return nil
	}
	suites = []suite{
		{"first", good, false},
		{"bad", func(context.Context, *figures.Table) error { return errors.New("it is on purpose") }, false},
		{"last", good, false},
	}
	if code := run(t.Context(), nil); code != 1 {
		t.Errorf("exit code %d", code)
	}
	b, err := os.ReadFile("bench.json")
	var rows []figures.Row
	if err != nil || json.Unmarshal(b, &rows) != nil || len(rows) != 2 {
		t.Errorf("bench.json is %s, %v", b, err)
	}
	suites = []suite{{"first", good, false}}
	if code := run(t.Context(), nil); code != 0 {
		t.Errorf("where all is well the exit code is %d", code)
	}
}
