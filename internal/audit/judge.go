package audit

import (
	"fmt"

	"tallyman/contract"
)

// judge says what does not fit. It is pure.
func (e *evidence) judge() []suspicion {
	found := e.judgeDocument()
	for i := range e.runs {
		if s := e.judgeRun(&e.runs[i]); s != nil {
			s.finding.JobID, s.finding.Run, s.finding.Queue = e.id, e.runs[i].number, e.runs[i].queue
			s.evidence = fmt.Sprint(e.runs[i].number, " ", e.entry.Revision, " ", e.runs[i].moved)
			found = append(found, *s)
		}
	}
	return found
}

// judgeDocument holds the document to its events. The first thing that does not fit explains the rest.
func (e *evidence) judgeDocument() []suspicion {
	one := func(kind contract.FindingKind, do, format string, args ...any) []suspicion {
		return []suspicion{{
			patience: patience, evidence: fmt.Sprint(e.entry.Revision),
			finding: contract.Finding{Kind: kind, JobID: e.id, Key: contract.JobKey(e.id), Seq: e.lacks, Says: fmt.Sprintf(format, args...), Do: do},
		}}
	}
	switch {
	case e.lacks > 0:
		return one(contract.EventMissing, "restore the stream from its backup, or believe the document: it was made while the event was there. "+
			"See who may change the stream, and whether it has room for what it is to keep",
			"the stream %s no longer has event %d, of which the document of job %s was made", contract.StreamEvents, e.lacks, e.id)
	case e.stray:
		return one(contract.DocumentDiffers, rebuild, "somebody else than the aggregator wrote the document of job %s, at revision %d", e.id, e.entry.Revision)
	case e.trimmed || !e.differs():
	case e.entry.Revision == 0:
		return one(contract.DocumentMissing, rebuild, "job %s has events, and no document: somebody else removed it", e.id)
	case e.want == nil:
		return one(contract.DocumentUnknown, rebuild, "the document of job %s is there, and the stream has no event of it: somebody else wrote it", e.id)
	default:
		return one(contract.DocumentDiffers, rebuild, "the document of job %s is not what its events add up to: somebody else wrote it", e.id)
	}
	if e.job != nil && e.job.Orphan {
		return one(contract.Orphan, "see its events: `tallyman events "+e.id+"`; who sent it past the api, or which event was lost?",
			"nobody said that job %s was submitted", e.id)
	}
	return nil
}

// judgeRun holds what the ledger says of a run to its records, and the other way round.
func (e *evidence) judgeRun(r *runEvidence) *suspicion {
	claimed := r.ledger != nil && (r.ledger.Outcome != contract.OutcomeNone || len(r.ledger.Attempts) > 0)
	switch {
	case claimed && r.young && !r.known:
		return &suspicion{patience: patience, finding: contract.Finding{
			Kind: contract.ClaimMissing, Key: contract.RunKey(r.queue, e.id, r.number),
			Says: fmt.Sprintf("somebody worked at run %d of job %s or ended it, and the record of who owns it is gone", r.number, e.id),
			Do:   goneDo,
		}}
	case claimed && r.young && r.record.Owner != "" && r.unit == nil:
		return &suspicion{patience: patience, finding: contract.Finding{
			Kind: contract.ClaimMissing, Unit: r.record.Owner, Key: contract.UnitKey(r.queue, r.record.Owner),
			Says: fmt.Sprintf("unit %s owns run %d of job %s, and its claim is gone", r.record.Owner, r.number, e.id),
			Do:   goneDo,
		}}
	case r.known && r.ledger == nil:
		return &suspicion{patience: patience, folded: true, finding: contract.Finding{
			Kind: contract.ClaimUnknown, Unit: r.record.Owner, Key: contract.RunKey(r.queue, e.id, r.number),
			Says: fmt.Sprintf("there is a record of run %d of job %s, of which the ledger does not know", r.number, e.id),
			Do:   "its events were lost: restore the stream from its backup, or submit the job again",
		}}
	case r.unit == nil:
		return nil
	}
	return r.judgeUnit(e.id)
}

const goneDo = "a repeat of its task could run it a second time. If it has not ended: `tallyman cancel JOB`, then `tallyman requeue JOB`; " +
	"see who may write to the bucket " + contract.BucketClaims

// judgeUnit holds the claim of the run's owner to what the ledger says, and to its Kubernetes Job.
func (r *runEvidence) judgeUnit(id string) *suspicion {
	u := r.unit
	f := contract.Finding{Unit: u.Unit, Key: contract.UnitKey(r.queue, u.Unit)}
	// A success without an attempt is one that the bridge cannot say.
	said := u.State == contract.Closed && u.Said && !(u.Outcome == contract.OutcomeSucceeded && u.OutcomeAttempt == 0)
	switch {
	case said && r.ledger.Outcome != u.Outcome:
		is := string(r.ledger.Outcome)
		if is == "" {
			is = "not ended"
		}
		f.Kind = contract.ClaimUnknown
		f.Says = fmt.Sprintf("the claim of run %d of job %s was closed as %s, and that was said; to the ledger it is %s", r.number, id, u.Outcome, is)
		f.Do = "the event was lost: restore the stream from its backup, or requeue the job if its work may be done twice"
		return &suspicion{finding: f, patience: patience, folded: true}
	case u.State == contract.Owned && r.ledger.Outcome == contract.OutcomeNone && len(r.ledger.Attempts) == 0 && len(u.Attempts) > 0:
		f.Kind = contract.ClaimUnknown
		f.Says = fmt.Sprintf("unit %s works at run %d of job %s, and nobody has said so", u.Unit, r.number, id)
		f.Do = "see whether the bridge runs and leads: it says what a processor did not"
		return &suspicion{finding: f, patience: settlePatience, folded: true}
	case r.lost:
		f.Kind = contract.UnitMissing
		f.Says = fmt.Sprintf("the claim of run %d of job %s is open, and its Kubernetes Job %s/%s of cluster %s has ended or is gone", r.number, id, u.Namespace, u.Name, u.Cluster)
		f.Do = "see whether the bridge runs and leads: it closes such a claim within two minutes"
		return &suspicion{finding: f, patience: settlePatience}
	}
	return nil
}
