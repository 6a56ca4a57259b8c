package contract

// Checkup is what one process found of all that it depends on, `doctor.<component>.<instance>` in the bucket
// "audit". Each process tells its own: it alone has its rights.
type Checkup struct {
	V         int         `json:"v"`
	Component string      `json:"component"`
	Instance  string      `json:"instance"`
	Version   string      `json:"version"`
	At        Time        `json:"at"`
	Lines     []CheckLine `json:"lines"` // at most MaxCheckLines
}

// CheckLine is one thing that must be right: a dependency, a right, a setting, a version or a lag.
type CheckLine struct {
	Component string `json:"component"`
	Instance  string `json:"instance,omitempty"`
	Name      string `json:"name"`
	OK        bool   `json:"ok"`
	Says      string `json:"says"` // what was found; where it is not OK, with what to do
}

// Diagnosis is the answer of GET /doctor: what every component says of itself, and who is silent.
type Diagnosis struct {
	At    Time        `json:"at"`
	OK    bool        `json:"ok"`
	Lines []CheckLine `json:"lines"`
}

// Limits of a checkup.
const (
	CheckupVersion = 1
	MaxCheckLines  = 400
	MaxCheckText   = 1024
)
