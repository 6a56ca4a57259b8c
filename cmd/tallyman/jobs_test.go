package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"tallyman/contract"
)

// What can be no job's id is said to be none by the program itself, with where ids are found.
func TestAJobIsNamedByItsID(t *testing.T) {
	t.Parallel()
	const id = "01a1ff4d-6889-73f0-a332-cb468c3a35f7"
	cmd := &cobra.Command{Use: "get JOB"}
	for _, c := range []struct {
		args  []string
		fault string
	}{
		{[]string{id}, ""},
		{nil, "name one job: get JOB"},
		{[]string{id, id}, "name one job: get JOB"},
		{[]string{strings.ToUpper(id)}, "lower case"},
		{[]string{"../stats"}, "`tallyman list` shows them"},
	} {
		err := oneJob(cmd, c.args)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q: %v", c.args, err)
		}
	}
	if err := maybeJob(cmd, nil); err != nil {
		t.Error(err)
	}
}

// Progress comes by a shorter way than events: of an attempt that is not known to run, nothing is said.
func TestProgressIsOfARunningAttempt(t *testing.T) {
	t.Parallel()
	const said = `{"at":"2026-11-22T10:00:00.000Z","data":{"percent":40}}`
	for state, told := range map[contract.State]bool{
		contract.StateAccepted: false, contract.StateQueued: false, contract.StateRunning: true, contract.StateFailed: false,
	} {
		l := life{State: state}
		if got := l.progress(said); got != told {
			t.Errorf("%s: told %v", state, got)
		}
	}
}
