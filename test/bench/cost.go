package main

import (
	"context"

	"tallyman/contract"
	"tallyman/internal/stream"
	"tallyman/test/bench/figures"
)

// cost adds what jobs have left in each store of NATS once they have ended: bytes that are held, beside the
// messages that were written for them.
func cost(ctx context.Context, t *figures.Table, nats string, jobs float64) error {
	s, err := stream.Connect(ctx, stream.Options{URL: nats, Name: "bench"})
	if err != nil {
		return err
	}
	defer s.Close()
	for _, e := range s.Examine(ctx, stream.DefaultSettings()) {
		what := stores[e.Name]
		if what == "" {
			continue
		}
		if e.Fault != nil {
			return e.Fault
		}
		t.Add("cost of a job: "+what+", held", float64(e.Bytes)/jobs, "B", 0, figures.None())
		t.Add("cost of a job: "+what+", written", float64(e.Written)/jobs, "messages", 0, figures.None())
	}
	return nil
}

// stores of NATS in which jobs leave something.
var stores = map[string]string{
	contract.StreamEvents:                        "events",
	contract.BucketStream(contract.BucketJobs):   "documents",
	contract.BucketStream(contract.BucketClaims): "claims",
	contract.BucketStream(contract.BucketOutput): "output",
}
