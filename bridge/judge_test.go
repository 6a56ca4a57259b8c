package bridge

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"tallyman/contract"
)

var update = flag.Bool("update", false, "write testdata/units/*.want from what Judge says now")

// object is a file of testdata/units: a unit as Kubernetes and the bucket have it.
type object struct {
	Now   string `json:"now"`
	Queue string `json:"queue"`
	Gone  bool   `json:"gone"`
	Again bool   `json:"again"`

	Recorded bool `json:"recorded"` // under its own names

	Job   *batchv1.Job    `json:"job"`
	Pods  []*corev1.Pod   `json:"pods"`
	Claim json.RawMessage `json:"claim"`
	Run   json.RawMessage `json:"run"`
}

func readView(t *testing.T, path string) View {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := yaml.UnmarshalStrict(b, &o); err != nil {
		t.Fatal(err)
	}
	now, err := contract.ParseTime(o.Now)
	if err != nil {
		t.Fatal(err)
	}
	v := View{
		Now: now.Time, Cluster: "prod-eu", Namespace: "jobs", Name: "processor-default-x7k2m",
		UID: "7a1c5f0e-3b5d-4c1e-9b0a-2f4f6f0a9d11", Queue: o.Queue,
		Job: o.Job, Gone: o.Gone, Again: o.Again, Pods: o.Pods,
	}
	if o.Claim != nil {
		u, err := contract.DecodeUnit(o.Claim)
		if err != nil {
			t.Fatal(err)
		}
		v.Claim = &u
		if o.Recorded {
			v.Cluster, v.Namespace, v.Name, v.UID = u.Cluster, u.Namespace, u.Name, u.Unit
		}
	}
	if o.Run != nil {
		r, err := contract.DecodeRun(o.Run)
		if err != nil {
			t.Fatal(err)
		}
		v.Run = &r
	}
	return v
}

// play does what verdicts ask, as the worker would, until nothing is asked for, and tells what it did.
func play(t *testing.T, v View) string {
	t.Helper()
	var out strings.Builder
	said := make(map[string]bool)
	for range 5 {
		verdict := Judge(v)
		switch {
		case verdict.Look:
			fmt.Fprintln(&out, "look past the cache")
			return out.String()
		case verdict.Close != nil:
			fmt.Fprintln(&out, "close", record(t, verdict.Close))
			v.Claim = verdict.Close
			continue
		}
		for _, e := range verdict.Say {
			if !said[e.ID()] {
				fmt.Fprintln(&out, "say", fact(t, e))
			}
			said[e.ID()] = true
		}
		if verdict.Then == nil {
			if verdict.Later > 0 {
				fmt.Fprintln(&out, "look again after", verdict.Later)
			}
			return out.String()
		}
		fmt.Fprintln(&out, "then", record(t, verdict.Then))
		v.Claim = verdict.Then
	}
	t.Fatal("Judge asks for ever:\n" + out.String())
	return ""
}

func record(t *testing.T, u *contract.UnitRecord) string {
	t.Helper()
	if _, err := u.Encode(); err != nil {
		t.Errorf("the record cannot be written: %v", err)
	}
	s := fmt.Sprintf("%s %s attempt=%d reason=%s exit=%s at=%s", u.State, u.Outcome, u.OutcomeAttempt, u.Reason, exit(u.ExitCode), clock(u.ClosedAt))
	if u.Said {
		s += " said"
	}
	if u.Task == nil {
		s += " stub"
	}
	return s + tail(u.Message, u.Result)
}

func fact(t *testing.T, e contract.Event) string {
	t.Helper()
	if _, err := e.Encode(); err != nil {
		t.Errorf("the event cannot be written: %v", err)
	}
	id := strings.NewReplacer(e.JobID, "JOB", e.Unit, "UNIT").Replace(e.ID())
	if e.JobID == "" {
		id = strings.Replace(e.ID(), e.Unit, "UNIT", 1)
	}
	s := fmt.Sprintf("%s reason=%s exit=%s at=%s pod=%s%s", id, e.Reason, exit(e.ExitCode), clock(e.Time), e.PodName, tail(e.Message, e.Result))
	if e.Kind == contract.Claimed && !e.MadeAt.IsZero() {
		s += fmt.Sprintf(" made=%s requests=%dm,%dMi", clock(e.MadeAt), e.Millicores, e.MiB)
	}
	return s
}

func exit(code *int) string {
	if code == nil {
		return "-"
	}
	return fmt.Sprint(*code)
}

func clock(t contract.Time) string { return t.Format("15:04:05.000") }

func tail(message string, result json.RawMessage) string {
	s := ""
	if message != "" {
		s += fmt.Sprintf(" %q", message)
	}
	if result != nil {
		s += " result=" + string(result)
	}
	return s
}

func TestJudge(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/units/*.yaml")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d files in testdata/units, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			t.Parallel()
			got := play(t, readView(t, path))
			golden := strings.TrimSuffix(path, ".yaml") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			for seed := range uint64(10) {
				v := readView(t, path)
				shuffle(&v, rand.New(rand.NewPCG(seed, 1)))
				if d := cmp.Diff(got, play(t, v)); d != "" {
					t.Fatalf("the order of conditions, containers or pods matters (seed %d):\n%s", seed, d)
				}
			}
		})
	}
}

// shuffle changes what has no meaning: the order of everything that Kubernetes lists.
func shuffle(v *View, r *rand.Rand) {
	if v.Job != nil {
		c := v.Job.Status.Conditions
		r.Shuffle(len(c), func(i, j int) { c[i], c[j] = c[j], c[i] })
	}
	r.Shuffle(len(v.Pods), func(i, j int) { v.Pods[i], v.Pods[j] = v.Pods[j], v.Pods[i] })
	for _, p := range v.Pods {
		c, s := p.Status.Conditions, p.Status.InitContainerStatuses
		r.Shuffle(len(c), func(i, j int) { c[i], c[j] = c[j], c[i] })
		r.Shuffle(len(s), func(i, j int) { s[i], s[j] = s[j], s[i] })
	}
}

// TestJudgeIsLevel holds that a unit judged at any later moment, with nothing changed, says the same facts.
func TestJudgeIsLevel(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"exit1-thrice-1.28", "evicted-1.30", "image-pull-1.35", "job-deleted-1.34", "again-1.36"} {
		v := readView(t, "testdata/units/"+name+".yaml")
		ids := func(v View) (ids []string) {
			for {
				verdict := Judge(v)
				if verdict.Close == nil {
					for _, e := range verdict.Say {
						ids = append(ids, e.ID())
					}
					return ids
				}
				v.Claim = verdict.Close
			}
		}
		first := ids(v)
		v.Now = v.Now.Add(24 * time.Hour)
		if d := cmp.Diff(first, ids(v)); d != "" || len(first) == 0 {
			t.Errorf("%s: a day later (-first +later):\n%s", name, d)
		}
	}
}
