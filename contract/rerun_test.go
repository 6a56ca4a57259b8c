package contract

import (
	"testing"
	"time"
)

// Which run follows is decided by the document and the configuration alone.
func TestFollowUp(t *testing.T) {
	t.Parallel()
	at := At(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))
	reruns := &Reruns{Max: 3, Delay: Duration(10 * time.Minute), MaxDelay: Duration(30 * time.Minute)}
	config := func(onLost OnLost, r *Reruns) *Config {
		return &Config{Queues: []Queue{{Name: "q", OnLost: onLost, Types: []JobType{{Name: "t", Reruns: r}}}}}
	}
	job := func(reasons ...Reason) *Job {
		j := &Job{Queue: "q", Type: "t", State: StateFailed}
		for i, reason := range reasons {
			r := JobRun{Run: i + 1, EndedAt: at, Outcome: OutcomeFailed, Reason: reason}
			if reason == Cancelled {
				r.Outcome = OutcomeCancelled
			}
			j.Runs = append(j.Runs, r)
		}
		return j
	}
	both, plain := config(LostReruns, reruns), config("", reruns)
	running := job(AppExit)
	running.State = StateRunning
	stranger := job(AppExit)
	stranger.Queue = "another"
	after := func(d time.Duration) Time { return At(at.Add(d)) }
	for name, c := range map[string]struct {
		config *Config
		job    *Job
		want   FollowUp // Most 0: there is none
	}{
		"the first":                    {plain, job(AppExit), FollowUp{1, FromRerun, after(10 * time.Minute), 1, 3}},
		"twice as long":                {plain, job(AppExit, OOMKilled), FollowUp{2, FromRerun, after(20 * time.Minute), 2, 3}},
		"no longer than maxDelay":      {plain, job(AppExit, Timeout, AppExit), FollowUp{3, FromRerun, after(30 * time.Minute), 3, 3}},
		"as many as it may":            {plain, job(AppExit, AppExit, AppExit, AppExit), FollowUp{}},
		"a cancel ends the row":        {plain, job(AppExit, AppExit, AppExit, Cancelled, AppExit), FollowUp{5, FromRerun, after(10 * time.Minute), 1, 3}},
		"no retry mends it":            {plain, job(AppError), FollowUp{}},
		"nobody asks":                  {config("", nil), job(AppExit), FollowUp{}},
		"running":                      {plain, running, FollowUp{}},
		"of a queue that is gone":      {plain, stranger, FollowUp{}},
		"no runs":                      {plain, job(), FollowUp{}},
		"lost":                         {both, job(Lost), FollowUp{1, FromRecovery, at, 1, MaxRecoveries}},
		"lost again":                   {config(LostReruns, nil), job(AppExit, Lost, Deleted), FollowUp{3, FromRecovery, at, 2, MaxRecoveries}},
		"lost too often":               {config(LostReruns, nil), job(Lost, Lost, Lost, Lost), FollowUp{}},
		"lost, and nobody recovers it": {plain, job(Lost), FollowUp{1, FromRerun, after(10 * time.Minute), 1, 3}},
		"lost too often, then reruns":  {config(LostReruns, &Reruns{Max: 9, Delay: Duration(time.Second), MaxDelay: Duration(4 * time.Second)}), job(Lost, Lost, Lost, Lost), FollowUp{4, FromRerun, after(4 * time.Second), 4, 9}},
		"failed, where lost reruns":    {config(LostReruns, nil), job(AppExit), FollowUp{}},
		"lost, where that fails":       {config(LostFails, nil), job(Lost), FollowUp{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := c.config.FollowUp(c.job)
			if ok != (c.want.Most > 0) || ok && got != c.want {
				t.Errorf("%+v, %v; want %+v", got, ok, c.want)
			}
		})
	}
}
