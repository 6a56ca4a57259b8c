package model

// A configuration's budget, kind by kind, is how often each fault may happen.
type budget map[faultKind]uint8

func (b budget) list() (all [faultKinds]uint8) {
	for k, n := range b {
		all[k] = n
	}
	return all
}

func world(name string, units int, b budget, change ...func(*config)) config {
	c := config{name: name, jobs: 1, units: units, backoff: 1, budget: b.list(), most: 20_000_000}
	for _, f := range change {
		f(&c)
	}
	return c
}

func foreign(c *config) { c.foreign = true }
func twoJobs(c *config) { c.jobs = 2 }
func reruns(c *config)  { c.reruns = true }

// configs are the worlds that are explored to their last state. Short ones take seconds together.
func configs() (short, long []config) {
	short = []config{
		world("crash", 1, budget{crash: 1, killsAPI: 1, workFails: 1}),
		world("duplicate", 2, budget{crash: 1, duplicates: 1}),
		world("acknowledgements", 2, budget{lostAck: 1, visibilityEnds: 1}),
		world("relay", 2, budget{killsAPI: 1, killsSched: 1, relaysEarly: 1}),
		world("purge", 2, budget{killsAPI: 1, purges: 1}),
		world("dead letters", 2, budget{deadLetters: 1, killsSched: 1, cancels: 1}),
		world("expiry", 2, budget{expires: 1, killsSched: 1, crash: 1}),
		world("foreign", 2, budget{crash: 1, deadLetters: 1, away: 1}, foreign),
		world("cancel", 1, budget{cancels: 1, killsAPI: 1, crash: 1, workFails: 1}),
		world("requeue", 2, budget{requeues: 1, repeats: 1, killsAPI: 1, workFailsForGood: 1}),
		world("cancel a requeue", 2, budget{cancels: 1, requeues: 1, killsAPI: 1, workFailsForGood: 1}),
		world("run", 1, budget{crash: 1, evict: 1, natsSilent: 1, workFails: 1}),
		world("job deleted", 2, budget{deletesJob: 1, crash: 1, workFails: 1}),
		world("deadline", 1, budget{overDeadline: 1, cancels: 1, natsSilent: 1}),
		world("overlap", 1, budget{zombie: 1, crash: 1, workFails: 1}),
		world("overlap, job deleted", 2, budget{zombie: 1, deletesJob: 1}),
		world("overlap, duplicate", 2, budget{zombie: 1, duplicates: 1}),
		world("overlap, cancel", 1, budget{zombie: 1, cancels: 1}),
		world("init container again", 1, budget{reinit: 1, crash: 1, staleReceipt: 1}),
		world("restart", 1, budget{restarts: 1, natsSilent: 1, crash: 1}),
		world("rerun", 2, budget{deletesJob: 1, killsSched: 1, cancels: 1}, reruns),
		world("rerun of what failed", 2, budget{workFailsForGood: 1, killsSched: 1, cancels: 1}, reruns),
		world("post again", 2, budget{postsAgain: 1, agesOut: 1, killsAPI: 1}),
		world("two jobs", 2, budget{}, twoJobs),
	}
	long = []config{
		world("crash+", 2, budget{crash: 2, killsAPI: 1, workFails: 1, duplicates: 1}),
		world("claim+", 2, budget{crash: 1, away: 1, reinit: 1, visibilityEnds: 1, duplicates: 1, lostAck: 1}),
		world("relay+", 3, budget{killsAPI: 1, killsSched: 1, relaysEarly: 1, purges: 1, crash: 1}),
		world("dead letters+", 2, budget{deadLetters: 1, expires: 1, killsSched: 1, crash: 1, cancels: 1, killsAPI: 1}),
		world("foreign+", 2, budget{crash: 2, deadLetters: 1, killsSched: 1, away: 1, duplicates: 1}, foreign),
		world("cancel+", 2, budget{cancels: 1, killsAPI: 1, crash: 1, workFails: 1, workFailsForGood: 1}),
		world("cancel a requeue+", 3, budget{cancels: 1, requeues: 1, killsAPI: 1, workFailsForGood: 1}),
		world("requeue+", 3, budget{requeues: 1, repeats: 1, killsAPI: 1, workFailsForGood: 2}),
		world("run+", 2, budget{crash: 1, evict: 1, natsSilent: 1, workFails: 1, restarts: 1}),
		world("job deleted+", 2, budget{deletesJob: 1, crash: 1, workFails: 1, restarts: 1, duplicates: 1}),
		world("deadline+", 2, budget{overDeadline: 1, cancels: 1, workFails: 1, natsSilent: 1}),
		world("rerun+", 3, budget{deletesJob: 1, killsSched: 1, cancels: 1, requeues: 1}, reruns),
		world("rerun of what failed+", 3, budget{workFailsForGood: 2, killsSched: 1, cancels: 1}, reruns),
		world("overlap+", 2, budget{zombie: 1, crash: 1, duplicates: 1, workFails: 1}),
		world("overlap, job deleted+", 2, budget{zombie: 1, deletesJob: 1, duplicates: 1, visibilityEnds: 1}),
		world("overlap, cancel+", 2, budget{zombie: 1, cancels: 1, crash: 1}),
		world("two jobs+", 3, budget{crash: 1}, twoJobs),
		world("two jobs, overlap+", 2, budget{zombie: 1}, twoJobs),
		world("age+", 3, budget{postsAgain: 1, agesOut: 1, cancels: 1, requeues: 1, workFailsForGood: 1}),
		world("extra+", 3, budget{extraUnit: 1, crash: 1, visibilityEnds: 1}),
	}
	return short, long
}
