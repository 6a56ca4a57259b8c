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
	for _, store := range []struct{ what, name string }{
		{"events", contract.StreamEvents},
		{"documents", contract.BucketStream(contract.BucketJobs)},
		{"claims", contract.BucketStream(contract.BucketClaims)},
		{"output", contract.BucketStream(contract.BucketOutput)},
	} {
		size, err := s.Size(ctx, store.name)
		if err != nil {
			return err
		}
		t.Add("cost of a job: "+store.what+", held", float64(size.Bytes)/jobs, "B", 0, figures.None())
		t.Add("cost of a job: "+store.what+", written", float64(size.Written)/jobs, "messages", 0, figures.None())
	}
	return nil
}
