package contract

import (
	"bytes"
	"encoding/json"
	"testing"
)

// eventWire is an event as encoding/json would write it, which the writer of events is held to.
type eventWire struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"`
	Source      Source    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject"`
	Time        Time      `json:"time"`
	ContentType string    `json:"datacontenttype"`
	Data        eventData `json:"data"`
}

type eventData struct {
	Queue       string          `json:"queue"`
	Type        string          `json:"type,omitempty"`
	JobID       string          `json:"jobId,omitempty"`
	Run         int             `json:"run,omitempty"`
	Attempt     int             `json:"attempt,omitempty"`
	SubmittedAt Time            `json:"submittedAt,omitzero"`
	Task        []byte          `json:"task,omitempty"`
	Unit        string          `json:"unit,omitempty"`
	Pod         string          `json:"pod,omitempty"`
	PodName     string          `json:"podName,omitempty"`
	Receipt     string          `json:"receipt,omitempty"`
	Cluster     string          `json:"cluster,omitempty"`
	Namespace   string          `json:"namespace,omitempty"`
	Name        string          `json:"name,omitempty"`
	Node        string          `json:"node,omitempty"`
	MadeAt      Time            `json:"madeAt,omitzero"`
	Millicores  int             `json:"millicores,omitempty"`
	MiB         int             `json:"mib,omitempty"`
	Reason      Reason          `json:"reason,omitempty"`
	ExitCode    *int            `json:"exitCode,omitempty"`
	Message     string          `json:"message,omitempty"`
	Tail        string          `json:"tail,omitempty"`
	Result      json.RawMessage `json:"result,omitempty"`
	DurationMS  int             `json:"durationMs,omitempty"`
}

// TestEncodeIsEncodingJSON writes the event of every vector both ways.
func TestEncodeIsEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, v := range vectorsOf(t, "event", "valid", "tolerated") {
		e, err := DecodeEvent(v.bytes)
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		w := eventWire{
			SpecVersion: specVersion, ID: e.ID(), Source: e.Source, Type: typePrefix + string(e.Kind) + typeVersion,
			Subject: e.about(), Time: e.Time, ContentType: contentTypeData,
			Data: eventData{
				Queue: e.Queue, Type: e.Type, JobID: e.JobID, Run: e.Run, Attempt: e.Attempt,
				SubmittedAt: e.SubmittedAt, Task: e.Task, Unit: e.Unit, Pod: e.Pod, PodName: e.PodName,
				Receipt: e.Receipt, Cluster: e.Cluster, Namespace: e.Namespace, Name: e.Name, Node: e.Node,
				MadeAt: e.MadeAt, Millicores: e.Millicores, MiB: e.MiB,
				Reason: e.Reason, ExitCode: e.ExitCode, Message: e.Message, Tail: e.Tail, Result: e.Result,
				DurationMS: e.DurationMS,
			},
		}
		if e.Kind.OfUnit() {
			w.Data.Type = ""
		}
		want, err := encode(w)
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		if got, err := e.Encode(); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n%s\nas encoding/json writes it\n%s", v.name, err, got, want)
		}
	}
}

// TestTimeIsTimeFormat compares with the library's own layout.
func TestTimeIsTimeFormat(t *testing.T) {
	t.Parallel()
	for _, ms := range []int64{1, 999, 1_000, 951_782_400_000, 1_795_305_600_007, 4_102_444_799_999, 253_402_300_799_999, -62_135_596_800_000 + 1} {
		at := AtMilli(ms)
		if got, want := at.String(), at.UTC().Format(TimeLayout); got != want {
			t.Errorf("%d: %s, want %s", ms, got, want)
		}
	}
}
