package program

import (
	"context"

	"tallyman/contract"
	"tallyman/internal/doctor"
	"tallyman/internal/service"
)

// Check adds checks to what this process finds out of itself, beside its parts and NATS.
func (p *Program) Check(checks ...doctor.Check) { p.checks = append(p.checks, checks...) }

// Books are what a check of the ledger's lags reads.
func (p *Program) Books(ctx context.Context) (*doctor.Books, error) {
	buckets, err := p.Buckets(ctx, contract.BucketJobs, contract.BucketAudit)
	if err != nil {
		return nil, err
	}
	return &doctor.Books{Events: p.Stream, Ledger: buckets[0], Audits: buckets[1]}, nil
}

// checkup is the part that tells how this process is.
func (p *Program) checkup(ctx context.Context) (service.Part, error) {
	records, err := p.Stream.Bucket(ctx, contract.BucketAudit)
	if err != nil {
		return service.Part{}, err
	}
	self := &doctor.Self{Component: p.name, Instance: Holder(), Records: records, Log: p.Log, Checks: func() []doctor.Check {
		return append(append(doctor.Parts(p.parts), doctor.Streams(p.Stream, p.settings)...), p.checks...)
	}}
	return service.Part{Name: "checkup", Run: self.Run}, nil
}
