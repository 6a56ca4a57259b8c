package api

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tallyman/contract"
)

// Pages of any size, with any filter, give every document once, newest first.
func TestPagesGiveEverythingOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		x, err := openIndex("")
		if err != nil {
			t.Fatal(err)
		}
		defer x.close()
		var all []contract.Job
		var batch []change
		for i := range rapid.IntRange(0, 40).Draw(t, "jobs") {
			job := contract.Job{
				JobID:       fmt.Sprintf("%08d-0000-0000-0000-000000000000", i),
				SubmittedAt: contract.AtMilli(int64(1 + rapid.IntRange(0, 5).Draw(t, "ms"))),
				State:       rapid.SampledFrom(contract.States()).Draw(t, "state"),
				Queue:       rapid.SampledFrom([]string{"a", "b"}).Draw(t, "queue"),
				Type:        rapid.SampledFrom([]string{"c", "d"}).Draw(t, "type"),
				UpdatedAt:   contract.AtMilli(9),
			}
			all, batch = append(all, job), append(batch, changeOf(t, job))
		}
		if err := x.apply(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		q := query{
			state: rapid.SampledFrom([]string{"", "queued"}).Draw(t, "by state"), queue: rapid.SampledFrom([]string{"", "a"}).Draw(t, "by queue"),
			jobType: rapid.SampledFrom([]string{"", "c"}).Draw(t, "by type"), waiting: rapid.Bool().Draw(t, "waiting"), limit: rapid.IntRange(1, 10).Draw(t, "limit"),
		}
		var want, got []string
		slices.SortFunc(all, func(a, b contract.Job) int {
			return or(b.SubmittedAt.Compare(a.SubmittedAt.Time), strings.Compare(b.JobID, a.JobID))
		})
		for _, job := range all {
			if q.waiting && job.State != contract.StateQueued && job.State != contract.StateAccepted {
				continue
			}
			if (q.state == "" || q.state == string(job.State)) && (q.queue == "" || q.queue == job.Queue) && (q.jobType == "" || q.jobType == job.Type) {
				want = append(want, job.JobID)
			}
		}
		for {
			docs, err := x.page(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if q.waiting && q.queue != "" && q.jobType == "" && q.state == "" {
				n, err := x.waitingBehind(t.Context(), q.queue, q.after, 100)
				if err != nil || n != len(want)-len(got) {
					t.Fatalf("%d wait behind %v, want %d, %v", n, q.after, len(want)-len(got), err)
				}
			}
			for _, d := range docs {
				var job contract.Job
				if err := json.Unmarshal(d, &job); err != nil {
					t.Fatal(err)
				}
				got = append(got, job.JobID)
				c, ok := parseCursor(cursor{job.SubmittedAt.UnixMilli(), job.JobID}.String())
				if !ok {
					t.Fatal("a cursor that cannot be read back")
				}
				q.after = c
			}
			if len(docs) < q.limit {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// However many jobs have ended, those that wait are found by an index of their own.
func TestWhatWaitsHasAnIndex(t *testing.T) {
	t.Parallel()
	x, err := openIndex("")
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	if err := x.order(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`SELECT doc FROM jobs WHERE ` + isWaiting + ` AND queue = 'q' AND (submitted, id) < (1, 'x') ORDER BY submitted DESC, id DESC LIMIT 9`,
		`SELECT count(*) FROM (SELECT 1 FROM jobs WHERE ` + isWaiting + ` AND queue = 'q' AND (submitted, id) < (1, 'x') LIMIT 9)`,
	} {
		rows, err := x.read.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan = append(plan, detail)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		all := strings.Join(plan, "; ")
		if !strings.Contains(all, "INDEX waiting (queue=? AND (submitted,id)<(?,?))") || strings.Contains(all, "TEMP B-TREE") {
			t.Errorf("%s: %s", text, all)
		}
	}
}

func changeOf(t interface{ Fatal(...any) }, job contract.Job) change {
	doc, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	return change{id: job.JobID, doc: doc, row: row{job.State, job.Queue, job.Type, job.SubmittedAt, job.UpdatedAt}}
}

// The index is disposable: what a file held before is of no account.
func TestIndexIsMadeAnew(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a%b?c#d.db")
	job := contract.Job{JobID: noJob, State: contract.StateQueued, SubmittedAt: contract.AtMilli(1), UpdatedAt: contract.AtMilli(1)}
	for range 2 {
		x, err := openIndex(path)
		if err != nil {
			t.Fatal(err)
		}
		if doc, err := x.get(t.Context(), noJob); err != nil || doc != nil {
			t.Fatalf("%s, %v", doc, err)
		}
		if err := x.apply(t.Context(), []change{changeOf(t, job)}); err != nil {
			t.Fatal(err)
		}
		if doc, err := x.get(t.Context(), noJob); err != nil || doc == nil {
			t.Fatalf("%s, %v", doc, err)
		}
		x.close()
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	if _, err := openIndex(filepath.Join(t.TempDir(), "no", "folder", "x.db")); err == nil {
		t.Error("an index in a folder that is not there")
	}
}

func TestIndexFollowsChanges(t *testing.T) {
	t.Parallel()
	x, err := openIndex(filepath.Join(t.TempDir(), "index.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	job := contract.Job{JobID: noJob, State: contract.StateQueued, Queue: "q", Type: "t", SubmittedAt: contract.AtMilli(1), UpdatedAt: contract.AtMilli(1)}
	for _, state := range []contract.State{contract.StateQueued, contract.StateRunning, contract.StateSucceeded} {
		job.State = state
		if err := x.apply(t.Context(), []change{changeOf(t, job)}); err != nil {
			t.Fatal(err)
		}
		for _, other := range contract.States() {
			docs, err := x.page(t.Context(), query{state: string(other), limit: 9})
			if err != nil || (len(docs) == 1) != (other == state) {
				t.Errorf("%s: %d of %s, %v", state, len(docs), other, err)
			}
		}
	}
	if err := x.apply(t.Context(), []change{{id: noJob}}); err != nil {
		t.Fatal(err)
	}
	if docs, err := x.page(t.Context(), query{limit: 9}); err != nil || len(docs) > 0 {
		t.Errorf("%d left, %v", len(docs), err)
	}
}
