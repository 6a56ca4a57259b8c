package contract

import "strconv"

// Limits of a mirrored Kubernetes Event. Kubernetes' own are 128 characters of reason and 1024 of message.
const (
	MaxScalingBytes   = 32 << 10
	MaxScalingReason  = 128
	MaxScalingRepeats = 1<<31 - 1

	typeScaling = "dev.tallyman.scaling.v1"
)

// Severity is how Kubernetes marks its Events.
type Severity string

const (
	Normal  Severity = "Normal"
	Warning Severity = "Warning"
)

// severities is never written to.
var severities = [...]Severity{Normal, Warning}

// Kinds of the objects whose Kubernetes Events are mirrored.
const (
	KindJob       = "Job"
	KindPod       = "Pod"
	KindScaledJob = "ScaledJob"
)

// objectKinds is never written to.
var objectKinds = [...]string{KindJob, KindPod, KindScaledJob}

// Scaling is a Kubernetes Event of a unit, of one of its pods or of a queue's ScaledJob: what KEDA, the
// scheduler, the kubelet or the Job controller say they did or could not do. It tells why, and no book is
// kept by it: Kubernetes drops and joins its Events as it likes.
type Scaling struct {
	UID       string // of the Kubernetes Event
	Count     int    // how often it was seen by now; 1 the first time
	First     Time
	Last      Time
	Queue     string
	Severity  Severity
	Reason    string // a word of the component's own, like FailedScheduling; some say none
	Message   string
	Component string // that says it

	Cluster   string
	Namespace string
	Kind      string // of the object it speaks of
	Name      string
	ObjectUID string
	Unit      string // the Kubernetes Job's UID; "" for a ScaledJob
	ScaledJob string // its name; "" where it is not known
}

type scalingWire struct {
	SpecVersion string      `json:"specversion"`
	ID          string      `json:"id"`
	Source      Source      `json:"source"`
	Type        string      `json:"type"`
	Subject     string      `json:"subject"`
	Time        Time        `json:"time"`
	ContentType string      `json:"datacontenttype"`
	Data        scalingData `json:"data"`
}

type scalingData struct {
	Queue     string   `json:"queue"`
	Severity  Severity `json:"severity"`
	Reason    string   `json:"reason"`
	Message   string   `json:"message,omitempty"`
	Component string   `json:"component,omitempty"`
	Count     int      `json:"count"`
	First     Time     `json:"first"`
	Cluster   string   `json:"cluster"`
	Namespace string   `json:"namespace"`
	Kind      string   `json:"kind"`
	Name      string   `json:"name"`
	UID       string   `json:"uid"`
	Unit      string   `json:"unit,omitempty"`
	ScaledJob string   `json:"scaledJob,omitempty"`
}

// ID is the identity: Kubernetes counts a repeat up in the same Event.
func (s *Scaling) ID() string { return s.UID + "/" + strconv.Itoa(s.Count) }

// MsgID is what JetStream sees repeats by.
func (s *Scaling) MsgID() string { return MsgID(s.ID(), SourceBridge) }

// Subject is where it is published.
func (s *Scaling) Subject() string { return ScalingSubject(s.Queue, s.Reason) }

// Encode writes the CloudEvent, and refuses one that DecodeScaling would refuse. Texts are cut to their
// limits here.
func (s *Scaling) Encode() ([]byte, error) {
	b, err := encode(scalingWire{
		SpecVersion: specVersion, ID: s.ID(), Source: SourceBridge, Type: typeScaling, Subject: s.ObjectUID,
		Time: s.Last, ContentType: contentTypeData,
		Data: scalingData{
			Queue: s.Queue, Severity: s.Severity, Reason: CutText(s.Reason, MaxScalingReason),
			Message: CutText(s.Message, MaxMessageBytes), Component: CutText(s.Component, MaxNameBytes),
			Count: s.Count, First: s.First, Cluster: s.Cluster, Namespace: s.Namespace, Kind: s.Kind, Name: s.Name,
			UID: s.ObjectUID, Unit: s.Unit, ScaledJob: s.ScaledJob,
		},
	})
	if err != nil {
		return nil, err
	}
	if _, err := DecodeScaling(b); err != nil {
		return nil, err
	}
	return b, nil
}

// DecodeScaling reads a CloudEvent of the stream SCALING.
func DecodeScaling(b []byte) (Scaling, error) {
	o, d := object{}, object{prefix: "data."}
	if err := o.openBoth(b, MaxScalingBytes, &d); err != nil {
		return Scaling{}, err
	}
	o.constant("specversion", true, specVersion)
	o.constant("datacontenttype", false, contentTypeData)
	o.constant("source", true, string(SourceBridge))
	o.constant("type", true, typeScaling)
	s := Scaling{Last: o.time("time", true)}
	id := o.text("id", true, 512)
	subject := o.token("subject", true)
	if err := o.enter("data", &d); err != nil {
		return Scaling{}, err
	}
	s.read(&d)
	s.UID = id[:max(len(id)-len("/"+strconv.Itoa(s.Count)), 0)]
	switch {
	case d.err != nil:
		return Scaling{}, d.err
	case subject != s.ObjectUID:
		return Scaling{}, Errorf(CodeInvalidValue, "subject", "is not what the data says: %s", s.ObjectUID)
	case !ValidToken(s.UID) || id != s.ID():
		return Scaling{}, Errorf(CodeInvalidValue, "id", "must be the Event's UID, a slash and data.count")
	}
	return s, nil
}

func (s *Scaling) read(d *object) {
	s.Queue = d.token("queue", true)
	s.Severity = oneOf(d, "severity", true, severities[:])
	s.Reason = d.text("reason", true, MaxScalingReason)
	s.Message = d.text("message", false, MaxMessageBytes)
	s.Component = d.text("component", false, MaxNameBytes)
	s.Count = d.integer("count", true, 1, MaxScalingRepeats)
	s.First = d.time("first", true)
	s.Cluster = d.word("cluster", true, nameForm)
	s.Namespace = d.word("namespace", true, nameForm)
	s.Kind = oneOf(d, "kind", true, objectKinds[:])
	s.Name = d.word("name", true, nameForm)
	s.ObjectUID = d.token("uid", true)
	s.Unit = d.token("unit", s.Kind != KindScaledJob)
	s.ScaledJob = d.word("scaledJob", false, nameForm)
}
