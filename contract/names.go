package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// Streams and buckets. Installs that share a NATS have an account each, so no name has a prefix.
const (
	StreamEvents    = "EVENTS"
	StreamScaling   = "SCALING"
	BucketClaims    = "claims"
	BucketJobs      = "jobs"
	BucketSchedules = "schedules"
	BucketOutput    = "output"
	BucketLeases    = "leases"
	BucketWebhooks  = "webhooks"
	BucketAudit     = "audit"
)

// Subjects as they are published, and the transform by which the stream stores them. The partition is a
// hash of the fourth wildcard, the job id, so a job's events are in one partition whatever they say.
const (
	EventSubjects    = "jobs.events.*.*.*.*"
	EventStored      = "jobs.log.{{partition(8,4)}}.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}"
	ProgressSubjects = "jobs.progress.*.*.*"
	ScalingSubjects  = "jobs.scaling.*.*"
)

// Keys of the bucket "jobs" that are not a job's, and of the buckets "audit" and "leases".
const (
	KeyStats       = "stats"
	KeyAttention   = "attention"
	KeyCheckpoint  = "ckpt"
	KeyReport      = "report" // of the bucket "audit", as is the next
	KeyStreamMark  = "stream"
	KeyRerunMark   = "=reruns" // of the bucket "schedules", where no schedule can be called so
	LeaseScheduler = "scheduler"
	LeaseLedger    = "aggregator"
	LeaseWebhooks  = "webhooks"
)

// Attributes and headers.
const (
	AttributeVersion     = "tallyman-v"  // SQS message attribute: this message is our envelope
	AttributeTraceParent = "traceparent" // SQS message attribute: W3C trace context
	HeaderMsgID          = "Nats-Msg-Id"
	HeaderTraceParent    = "traceparent"
	HeaderExpectedSeq    = "Nats-Expected-Last-Subject-Sequence"
	HeaderContentType    = "Content-Type"
	ContentTypeEvent     = "application/cloudevents+json"
)

// Names on Kubernetes objects. KEDA copies every annotation of a ScaledJob to its Kubernetes Jobs, so the
// bridge learns a unit's queue from the unit itself; an annotation, since a label's value may be neither
// 64 long nor begin with _ as a queue's name may.
const (
	AnnotationQueue = "tallyman.dev/queue"
	LabelScaledJob  = "scaledjob.keda.sh/name"
	LabelUnit       = "batch.kubernetes.io/controller-uid" // of a pod: the UID of its Kubernetes Job
	LabelUnitName   = "batch.kubernetes.io/job-name"
	ContainerClaim  = "claim" // the init container
	ContainerRun    = "run"
)

// NoType stands for the job type in the subject of a unit's fact.
const NoType = "_"

// EventSubject is where an event is published; last is the job id, or the unit for a unit's fact.
func EventSubject(queue, jobType string, kind Kind, last string) string {
	return "jobs.events." + queue + "." + jobType + "." + string(kind) + "." + last
}

// StoredOfKind matches every event of a kind as the stream has it.
func StoredOfKind(kind Kind) string { return "jobs.log.*.*.*." + string(kind) }

// ProgressSubject is where the progress of a running job is published; it is not stored.
func ProgressSubject(queue, jobType, jobID string) string {
	return "jobs.progress." + queue + "." + jobType + "." + jobID
}

// ScalingSubject is where Kubernetes Events of units and ScaledJobs are mirrored. Any component may give
// its Events any reason, so what cannot stand in a subject becomes an underscore.
func ScalingSubject(queue, reason string) string {
	return "jobs.scaling." + queue + "." + toToken(reason)
}

// ScalingOfQueue matches all that is mirrored for a queue; "*" for every queue.
func ScalingOfQueue(queue string) string { return "jobs.scaling." + queue + ".*" }

func toToken(s string) string {
	b := []byte(s[:min(len(s), MaxToken)])
	for i := range b {
		if !isTokenByte(b[i]) {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		return "_"
	}
	return string(b)
}

// EventID is the identity of a job's fact.
func EventID(jobID string, run, attempt int, kind Kind) string {
	return string(appendEventID(nil, jobID, run, attempt, kind))
}

func appendEventID(b []byte, jobID string, run, attempt int, kind Kind) []byte {
	b = append(append(b, jobID...), '/')
	b = append(strconv.AppendInt(b, int64(run), 10), '/')
	b = append(strconv.AppendInt(b, int64(attempt), 10), '/')
	return append(b, kind...)
}

// UnitEventID is the identity of a unit's fact; receipt is the handle of the message it speaks of, or
// "" where there was none.
func UnitEventID(unit, pod, receipt string, kind Kind) string {
	hash := NoType
	if receipt != "" {
		hash = ReceiptHash(receipt)
	}
	return unit + "/" + pod + "/" + hash + "/" + string(kind)
}

// MsgID is what JetStream sees repeats by: two sources may say the same fact, each once.
func MsgID(id string, source Source) string { return id + "/" + string(source) }

// UnitKey is the key of a unit's record in the bucket "claims".
func UnitKey(queue, unit string) string { return queue + ".unit." + unit }

// RunKey is the key of a run's record in the bucket "claims".
func RunKey(queue, jobID string, run int) string {
	return queue + ".run." + jobID + "." + strconv.Itoa(run)
}

// ClusterKey is the key of a cluster's record in the bucket "claims": which Kubernetes the name stands for.
// A cluster's name may hold what a key may not, so its hash stands for it. UnitKeys and RunKey make keys of
// three tokens and more, this one has two.
func ClusterKey(cluster string) string { return "cluster." + hashToken(cluster) }

// hashToken stands for a name that may hold what a key may not.
func hashToken(name string) string {
	h := sha256.Sum256([]byte(name))
	return hex.EncodeToString(h[:8])
}

// SightKey is the key of what the bridge sees of a queue, in the bucket "claims". Like a cluster's it has two
// tokens, so no queue's name makes it a unit's or a run's.
func SightKey(queue string) string { return "sight." + queue }

// InventoryKey is the key of a cluster's inventory in the bucket "audit".
func InventoryKey(cluster string) string { return "units." + hashToken(cluster) }

// CheckupKey is the key of a process's checkup in the bucket "audit".
func CheckupKey(component, instance string) string {
	return "doctor." + toToken(component) + "." + hashToken(instance)
}

// CheckupKeys matches the checkups of every process.
const CheckupKeys = "doctor.*.*"

// InventoryKeys matches the inventories of every cluster.
const InventoryKeys = "units.*"

// RunOfKey gives what RunKey was made of, and false for every other key.
func RunOfKey(key string) (queue, jobID string, run int, ok bool) {
	parts := strings.Split(key, ".")
	if len(parts) != 4 || parts[1] != "run" || !ValidToken(parts[0]) || !ValidJobID(parts[2]) {
		return "", "", 0, false
	}
	run, err := strconv.Atoi(parts[3])
	return parts[0], parts[2], run, err == nil && run >= 1 && run <= MaxRun
}

// RunKeys matches the records of every run of a queue; "*" for every queue.
func RunKeys(queue string) string { return queue + ".run.*.*" }

// UnitKeys matches the records of every unit of a queue; "*" for every queue.
func UnitKeys(queue string) string { return queue + ".unit.*" }

// JobKey is the key of a job's document in the bucket "jobs".
func JobKey(jobID string) string { return "job." + jobID }

// JobIDOfKey gives the job id of a document's key, and false for every other key.
func JobIDOfKey(key string) (string, bool) {
	id, ok := strings.CutPrefix(key, "job.")
	if !ok || !ValidJobID(id) {
		return "", false
	}
	return id, true
}

// OutputKey is the key of an attempt's last output in the bucket "output".
func OutputKey(queue, jobID string, run, attempt int) string {
	return queue + "." + jobID + "." + strconv.Itoa(run) + "." + strconv.Itoa(attempt)
}

// BucketSubject is the subject of a key of a bucket, for those who publish to it with headers.
func BucketSubject(bucket, key string) string { return "$KV." + bucket + "." + key }

// BucketStream is the stream that holds a bucket.
func BucketStream(bucket string) string { return "KV_" + bucket }
