package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"tallyman/contract"
)

// recording is a unit as a bridge finds it: the form of bridge/testdata/units.
type recording struct {
	Now      string          `json:"now"`
	Queue    string          `json:"queue"`
	Recorded bool            `json:"recorded"`
	Job      batchv1.Job     `json:"job"`
	Pods     []corev1.Pod    `json:"pods"`
	Claim    json.RawMessage `json:"claim"`
	Run      json.RawMessage `json:"run"`
}

// record keeps, where TALLYMAN_CLUSTER_RECORD names a folder, what Kubernetes and the bucket have at this moment of the
// units of these jobs, as NAME-KUBERNETES.yaml: bridge/testdata/units/README.md tells how to take new ones.
func (w *tallyman) record(names map[string]string) {
	w.t.Helper()
	folder := os.Getenv("TALLYMAN_CLUSTER_RECORD")
	if folder == "" {
		return
	}
	version, err := w.Client().Discovery().ServerVersion()
	if err != nil {
		w.t.Fatal(err)
	}
	units, err := w.units(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	pods, err := w.pods(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	claims, err := w.jetStream().KeyValue(w.t.Context(), contract.BucketClaims)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, unit := range units {
		r := recording{Now: contract.At(time.Now()).String(), Queue: unit.Annotations[contract.AnnotationQueue], Recorded: true, Job: unit}
		r.Claim = w.kept(claims, contract.UnitKey(r.Queue, string(unit.UID)))
		claim, err := contract.DecodeUnit(r.Claim)
		if err != nil {
			continue // it has claimed nothing
		}
		name := names[claim.JobID]
		if name == "" {
			continue
		}
		r.Run = w.kept(claims, contract.RunKey(r.Queue, claim.JobID, claim.Run))
		r.Job.Kind, r.Job.APIVersion, r.Job.ManagedFields = "Job", "batch/v1", nil
		for _, p := range pods {
			if p.Labels[contract.LabelUnit] == string(unit.UID) {
				p.Kind, p.APIVersion, p.ManagedFields = "Pod", "v1", nil
				r.Pods = append(r.Pods, p)
			}
		}
		b, err := yaml.Marshal(r)
		if err != nil {
			w.t.Fatal(err)
		}
		file := filepath.Join(folder, "recorded-"+name+"-"+version.Major+"."+version.Minor+".yaml")
		if err := os.WriteFile(file, append([]byte("# Kubernetes "+version.GitVersion+", as it was: "+name+".\n"), b...), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

// kept is the value of a key; nil where there is none.
func (w *tallyman) kept(bucket jetstream.KeyValue, key string) []byte {
	w.t.Helper()
	e, err := bucket.Get(w.t.Context(), key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return e.Value()
}
