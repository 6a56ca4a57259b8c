package contract

import (
	"encoding/json"
	"fmt"
)

// AuditReport is what an audit found: the ledger against a replay of the stream, against SQS, and against
// claims and Kubernetes Jobs. `POST /audit` answers one that was made for it; the last one that the scheduler's
// leader made is KeyReport in the bucket "audit", and `GET /audit`.
type AuditReport struct {
	V           int          `json:"v"`
	At          Time         `json:"at"`
	AsOf        AsOf         `json:"asOf"`                // how far the ledger had come
	Unaccounted int          `json:"unaccounted"`         // how many jobs, and things that are no job's, do not fit
	Findings    []Finding    `json:"findings"`            // at most MaxFindings
	More        int          `json:"more,omitempty"`      // findings beyond those
	Pending     int          `json:"pending"`             // what did not fit, but may be under way: it is looked at again
	Unchecked   []string     `json:"unchecked,omitempty"` // what could not be looked at, and why
	Remarks     []string     `json:"remarks,omitempty"`   // what was not compared, and need not be: no fault, but no praise either
	Looked      AuditScope   `json:"looked"`
	Queues      []AuditQueue `json:"queues,omitempty"`
	Clusters    []AuditUnits `json:"clusters,omitempty"`
	Took        float64      `json:"tookSeconds"`
}

// AuditScope is how much was looked at.
type AuditScope struct {
	Events    int    `json:"events"` // replayed
	From      uint64 `json:"from"`   // the first that the stream still has: what is older cannot be replayed
	Documents int    `json:"documents"`
	Claims    int    `json:"claims"` // records of runs and of units
}

// AuditQueue is a queue as the ledger and SQS hold it.
type AuditQueue struct {
	Queue      string `json:"queue"`
	Waiting    int    `json:"waiting"` // runs that the ledger holds as queued and nobody has claimed
	Visible    int    `json:"visible"`
	InFlight   int    `json:"inFlight"`
	Delayed    int    `json:"delayed"`
	DeadLetter int    `json:"deadLetter"`
}

// AuditUnits is a cluster's Kubernetes Jobs as its bridge told of them.
type AuditUnits struct {
	Cluster string `json:"cluster"`
	At      Time   `json:"at"`
	Units   int    `json:"units"` // that had not ended
}

// Limits of an audit.
const (
	AuditVersion  = 1
	MaxFindings   = 100
	MaxAuditJobs  = 10 // of Audit and of a finding
	MaxReportText = 4096
)

// FindingKind is what does not fit.
type FindingKind string

// The closed set of findings.
const (
	EventMissing    FindingKind = "event-missing"    // the stream no longer has an event that was counted
	DocumentDiffers FindingKind = "document-differs" // a document is not what its events add up to
	DocumentMissing FindingKind = "document-missing" // its events are there, a document is not
	DocumentUnknown FindingKind = "document-unknown" // a document of which the stream says nothing
	StatsDiffer     FindingKind = "stats-differ"     // stats, a book or a window are not what the events add up to
	LedgerGap       FindingKind = "ledger-gap"       // events were lost before they were counted
	Orphan          FindingKind = "orphan"           // nobody said that the job was submitted
	MessageMissing  FindingKind = "message-missing"  // the ledger holds a run as queued, and SQS has no message for it
	ClaimMissing    FindingKind = "claim-missing"    // the ledger knows of a claim that is not there
	ClaimUnknown    FindingKind = "claim-unknown"    // a claim records what the ledger does not know
	UnitMissing     FindingKind = "unit-missing"     // an open claim whose Kubernetes Job has ended or is gone
	UnitByHand      FindingKind = "unit-by-hand"     // a Kubernetes Job that no ScaledJob made
	StreamReplaced  FindingKind = "stream-replaced"  // the stream is not the one that was audited before
)

// findingKinds is never written to.
var findingKinds = [...]FindingKind{
	EventMissing, DocumentDiffers, DocumentMissing, DocumentUnknown, StatsDiffer, LedgerGap, Orphan, MessageMissing,
	ClaimMissing, ClaimUnknown, UnitMissing, UnitByHand, StreamReplaced,
}

// FindingKinds lists the closed set.
func FindingKinds() []FindingKind { return append([]FindingKind(nil), findingKinds[:]...) }

// Finding is one thing that does not fit.
type Finding struct {
	Kind  FindingKind `json:"kind"`
	JobID string      `json:"jobId,omitempty"`
	Run   int         `json:"run,omitempty"`
	Queue string      `json:"queue,omitempty"`
	Unit  string      `json:"unit,omitempty"`
	Key   string      `json:"key,omitempty"`  // of a bucket
	Seq   uint64      `json:"seq,omitempty"`  // of the stream
	Jobs  []string    `json:"jobs,omitempty"` // among which Count are, where it cannot be told which; at most MaxAuditJobs
	Count int         `json:"count,omitempty"`
	Says  string      `json:"says"`           // what does not fit
	Do    string      `json:"do"`             // what a person can do about it
	Since Time        `json:"since,omitzero"` // when it was first seen
}

// subject is what a finding is about: two of the same job count once.
func (f *Finding) subject() string {
	if f.JobID != "" {
		return f.JobID
	}
	return string(f.Kind) + " " + f.Queue + " " + f.Unit + " " + f.Key
}

// Account fills in what follows from all findings, of which it keeps the first.
func (r *AuditReport) Account(all []Finding) {
	counted := make(map[string]bool)
	r.Unaccounted = 0
	for i := range all {
		f := &all[i]
		if s := f.subject(); !counted[s] {
			counted[s] = true
			r.Unaccounted += max(1, f.Count)
		}
	}
	r.Findings = append([]Finding{}, all[:min(len(all), MaxFindings)]...)
	r.More = len(all) - len(r.Findings)
}

// Clean tells whether everything that can be looked at was, and fits. Remarks are no fault: where a log is too
// long to be replayed, or no longer begins at its beginning, nobody has anything to mend.
func (r *AuditReport) Clean() bool { return r.Unaccounted == 0 && len(r.Unchecked) == 0 }

// Summary is the report as GET /jobs/stats shows it.
func (r *AuditReport) Summary() *Audit {
	a := &Audit{At: r.At, Unaccounted: r.Unaccounted}
	seen := make(map[string]bool)
	for i := range r.Findings {
		for _, id := range append([]string{r.Findings[i].JobID}, r.Findings[i].Jobs...) {
			if id != "" && !seen[id] && len(a.Jobs) < MaxAuditJobs {
				seen[id] = true
				a.Jobs = append(a.Jobs, id)
			}
		}
	}
	return a
}

// DecodeAudit reads a report.
func DecodeAudit(b []byte) (AuditReport, error) {
	var r AuditReport
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("audit report: %w", err)
	}
	if r.V != AuditVersion {
		return r, Errorf(CodeUnknownVersion, "v", "version %d of an audit report is not known here", r.V)
	}
	return r, nil
}

// Inventory is the Kubernetes Jobs of one cluster that matter to an audit, `units.<cluster>` in the bucket
// "audit": those that have not ended, and those that no ScaledJob made. Its bridge writes it.
type Inventory struct {
	V       int             `json:"v"`
	Cluster string          `json:"cluster"`
	At      Time            `json:"at"`
	Units   []InventoryUnit `json:"units"`
	More    int             `json:"more,omitempty"` // beyond MaxInventory
}

// InventoryUnit is one Kubernetes Job.
type InventoryUnit struct {
	Unit      string `json:"unit"` // its UID
	Queue     string `json:"queue,omitempty"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	MadeAt    Time   `json:"madeAt,omitzero"`
	Over      bool   `json:"over,omitempty"`
	ByHand    bool   `json:"byHand,omitempty"`
}

// Find gives a Kubernetes Job by its UID; nil where it is not listed.
func (i *Inventory) Find(unit string) *InventoryUnit {
	for k := range i.Units {
		if i.Units[k].Unit == unit {
			return &i.Units[k]
		}
	}
	return nil
}

// MaxInventory is how many Kubernetes Jobs an inventory lists: within NATS' limit for a message.
const MaxInventory = 4000

// InventoryVersion is the version of Inventory.
const InventoryVersion = 1
