package chaos

// plant is a fault that is put into a copy of the code, to see that a run of it is found to be wrong. It is the same
// that test/model plants in the protocol's model.
type plant struct {
	name string
	code []substitution
	only string // the faults under which it comes to light
	// found is how the oracle or the audit names what the plant breaks: a crash or a timeout alone is no finding.
	found string
}

// substitution of a text that stands once in a file.
type substitution struct{ file, old, new string }

// hasty lets a world that never comes to rest fail sooner than one on a slow machine may.
var hasty = substitution{"test/chaos/world_linux_test.go", "const patience = 3 * time.Minute", "const patience = 75 * time.Second"}

var plants = []plant{
	{
		name: "no fence",
		code: []substitution{{
			"internal/stream/commit.go",
			"\tlast.Header.Set(contract.HeaderExpectedSeq, strconv.FormatUint(fence.Revision, 10))\n", "",
		}},
		// What one of two wants to commit arrives when the other leads, and has committed the same and more.
		only:  "held aggregator>nats",
		found: `the books went back from sequence \d+ to \d+|the stats are not what the jobs add up to|the audit as of \d+: (document-|stats-)\w+: .*`,
	},
	{
		name: "said before recorded",
		code: []substitution{{
			"rust-processor/src/run.rs",
			"                self.close(&ending, blank).await\n",
			`                if ending.outcome == Outcome::Succeeded {
                    let said = self.voice.ended(Kind::Succeeded, record, &ending, self.voice.now()).await;
                    self.warn("the success could not be said", said);
                }
                self.close(&ending, blank).await
`,
		}},
		only:  "mute pods>nats,pod run",
		found: `run \d+ of job \S+ \(.*\): \w+, and \d attempts succeeded`,
	},
	{
		name: "intent removed without revision",
		code: []substitution{{
			"rust-processor/src/stream.rs",
			"        self.compare_and_set(bucket, key, Bytes::new(), expected, headers).await\n",
			`        let _ = expected;
        let subject = names::bucket_subject(bucket, key);
        self.stored("remove", subject, headers, Bytes::new()).await.map(Swap::Won)
`,
		}},
		// A removal that is on its way when its pod dies arrives when the next pod of the unit has another run.
		only:  "orphan pods>nats,duplicate sqs",
		found: `the audit as of \d+: (claim|message)-missing: .*`,
	},
	{
		// Each event is the truth about its run and its attempt: what stood there before it is forgotten.
		name: "fold that trusts arrival order",
		code: []substitution{
			{"aggregator/job.go", "\t\ta.claimed = earlier(a.claimed, f.at)\n", "\t\ta.claimed, a.end = f.at, ending{}\n"},
			{"aggregator/job.go", "\t\ta.started = earlier(a.started, f.at)\n", "\t\ta.started, a.end = f.at, ending{}\n"},
			{"aggregator/job.go", "\t\tr.queued = earlier(r.queued, f.at)\n", "\t\tr.queued, r.attempts, r.end = f.at, nil, ending{}\n"},
			{"aggregator/job.go", "\tcase e.kind == endNone || o.kind != endNone && o.kind < e.kind:\n", "\tcase o.kind != endNone:\n"},
		},
		only:  "mute api>sqs,slow api>nats,pause api",
		found: `the end of run \d+ of job \S+ was said, and the books do not have it`,
	},
	{
		name: "no dedupe at the claim",
		code: []substitution{{
			"rust-processor/src/records.rs",
			"                return Ok((record.owner != unit.unit).then_some(record));\n", "                return Ok(None);\n",
		}},
		only:  "sqs sqs",
		found: `has \d owners|"began \d \d" \d times|two attempts of a job at the same time`,
	},
}
