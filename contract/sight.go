package contract

// Sight is what a bridge sees of a queue in Kubernetes now: KEDA's ScaledJob, and the units that wait for
// something. It is `sight.<queue>` in the bucket "claims", overwritten whenever it changes and at least every
// SightEverySeconds, so that its age tells whether a bridge looks at all. It tells why, and decides nothing.
type Sight struct {
	V         int        `json:"v"`
	Queue     string     `json:"queue"`
	Cluster   string     `json:"cluster"`
	At        Time       `json:"at"`                  // when the bridge looked
	ScaledJob *ScaledJob `json:"scaledJob,omitempty"` // nil where there is none
	Units     int        `json:"units"`               // that have not ended
	Claimed   int        `json:"claimed"`             // of those, that have taken a message
	Waiting   []Waiting  `json:"waiting,omitempty"`   // units that wait, the claimed first, then the oldest
	More      int        `json:"more,omitempty"`      // that wait beyond those
}

// Limits of a Sight.
const (
	SightVersion      = 1
	SightEverySeconds = 15
	MaxSightWaiting   = 40
	MaxSightText      = 600 // bytes of one message
	MaxConditions     = 8
)

// ScaledJob is KEDA's object of a queue, or its local stand-in.
type ScaledJob struct {
	Queue      string      `json:"queue"`
	Namespace  string      `json:"namespace"`
	Name       string      `json:"name"`
	Max        int         `json:"max"`    // units at a time
	Paused     bool        `json:"paused"` // by its annotation
	Conditions []Condition `json:"conditions,omitempty"`
	LastActive Time        `json:"lastActive,omitzero"` // when KEDA last found something to do
}

// Condition is one of KEDA's own words on a ScaledJob: Ready, Active, Paused, ...
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"` // True, False or Unknown
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Condition finds one by its type; an empty one where KEDA has not said it.
func (s *ScaledJob) Condition(kind string) Condition {
	for _, c := range s.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return Condition{}
}

// Wait is what a unit waits for.
type Wait string

// What a unit may wait for, in the order of its life.
const (
	WaitPod       Wait = "pod"       // no pod has been made yet
	WaitSuspended Wait = "suspended" // somebody suspended the Kubernetes Job
	WaitNode      Wait = "node"      // the scheduler has found no node
	WaitImage     Wait = "image"     // an image cannot be pulled
	WaitConfig    Wait = "config"    // a Secret, a ConfigMap or a volume is missing
	WaitStart     Wait = "start"     // a container cannot be started
	WaitCreating  Wait = "creating"  // the kubelet makes volumes and containers, or pulls an image
	WaitInit      Wait = "init"      // an init container before the claim runs
	WaitClaim     Wait = "claim"     // the claim runs: it takes a message
	WaitBackoff   Wait = "back-off"  // the last pod ended badly; the next is due
	WaitSilent    Wait = "silent"    // the pod's node does not answer
	WaitEnd       Wait = "end"       // the pod is being taken away
)

// Blocked tells whether the wait does not end by itself in the ordinary course.
func (w Wait) Blocked() bool {
	switch w {
	case WaitSuspended, WaitNode, WaitImage, WaitConfig, WaitStart, WaitSilent:
		return true
	}
	return false
}

// Waiting is one unit that waits.
type Waiting struct {
	Unit      string `json:"unit"` // the Kubernetes Job's UID
	Namespace string `json:"namespace"`
	Name      string `json:"name"` // of the Kubernetes Job
	Claimed   bool   `json:"claimed,omitempty"`
	For       Wait   `json:"for"`
	Reason    string `json:"reason,omitempty"` // Kubernetes' own word, like Unschedulable
	Message   string `json:"message,omitempty"`
	Since     Time   `json:"since"`
	Due       Time   `json:"due,omitzero"`       // of a back-off: when the next pod is made
	Failures  int    `json:"failures,omitempty"` // pods of this unit that ended badly
	Pod       string `json:"pod,omitempty"`      // its name
	Node      string `json:"node,omitempty"`
	Container string `json:"container,omitempty"`
}
