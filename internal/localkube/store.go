package localkube

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

const (
	storeVersion = 1
	maxUnitFile  = 4 << 20
	halfWritten  = ".new"
)

// stored is a unit's file.
type stored struct {
	V       int           `json:"v"`
	Queue   string        `json:"queue"`
	Job     *batchv1.Job  `json:"job"`
	Pods    []*corev1.Pod `json:"pods,omitempty"`
	Process *process      `json:"process,omitempty"`
}

func (k *Kube) unitFile(uid string) string { return filepath.Join(k.unitsDir(), uid+".json") }

// save writes a unit's file whole, or leaves the old one. The caller holds the unit's lock.
func (k *Kube) save(u *unit) error {
	b, err := json.Marshal(stored{V: storeVersion, Queue: u.queue.Name, Job: u.job, Pods: u.pods, Process: u.process})
	if err != nil {
		return fmt.Errorf("encode unit %s: %w", u.uid(), err)
	}
	path := k.unitFile(u.uid())
	if err := os.WriteFile(path+halfWritten, b, 0o600); err != nil {
		return fmt.Errorf("write unit %s: %w", u.uid(), err)
	}
	if err := os.Rename(path+halfWritten, path); err != nil {
		return fmt.Errorf("write unit %s: %w", u.uid(), err)
	}
	return nil
}

// load reads every unit's file. One that cannot be read is set aside and named: its unit is gone, which
// the bridge will say of its job, and the rest goes on.
func (k *Kube) load() error {
	files, err := os.ReadDir(k.unitsDir())
	if err != nil {
		return err
	}
	for _, f := range files {
		uid, ok := strings.CutSuffix(f.Name(), ".json")
		if !ok {
			if err := k.removeHalf(f.Name()); err != nil {
				return err
			}
			continue
		}
		u, err := k.loadUnit(k.unitFile(uid))
		if err != nil {
			k.o.Log.Error("a unit's file cannot be read; it is set aside and the unit is gone", "file", f.Name(), "error", err)
			if err := os.Rename(k.unitFile(uid), k.unitFile(uid)+".bad"); err != nil {
				return err
			}
			continue
		}
		k.units[uid] = u
	}
	return nil
}

// removeHalf removes a file that was being written when the program was killed.
func (k *Kube) removeHalf(name string) error {
	if !strings.HasSuffix(name, halfWritten) {
		return nil
	}
	return os.Remove(filepath.Join(k.unitsDir(), name))
}

func (k *Kube) loadUnit(path string) (*unit, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxUnitFile {
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", info.Size(), maxUnitFile)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var s stored
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, err
	}
	if s.V != storeVersion || !s.whole() {
		return nil, errors.New("is not a unit of this version")
	}
	u := &unit{kube: k, job: s.Job, pods: s.Pods, process: s.Process, queue: k.queue(s.Queue)}
	if u.queue == nil { // as with a ScaledJob that was deleted: its units go with it
		u.queue, u.dropped = &Queue{Name: s.Queue}, true
	}
	return u, nil
}

// whole tells whether the parts are there that this package relies on.
func (s *stored) whole() bool {
	if s.Job == nil || s.Job.UID == "" || s.Job.Status.StartTime == nil || s.Job.Spec.BackoffLimit == nil ||
		s.Job.Spec.ActiveDeadlineSeconds == nil {
		return false
	}
	for _, p := range s.Pods {
		if p == nil || len(p.Status.InitContainerStatuses) != 1 || len(p.Status.ContainerStatuses) != 1 {
			return false
		}
	}
	return true
}

func (k *Kube) queue(name string) *Queue {
	for i := range k.o.Queues {
		if k.o.Queues[i].Name == name {
			return &k.o.Queues[i]
		}
	}
	return nil
}

// takeOver stops what an earlier run left behind and writes into its pods that they are lost. Where its
// process was killed its children died with it, on Linux; here is who did not.
func (k *Kube) takeOver() error {
	for _, u := range k.all() {
		if p := u.process; p != nil {
			if birth, err := birthOf(p.PID); err == nil && birth == p.Birth {
				killGroup(p.PID)
			}
		}
	}
	reapStragglers(k.podsDir())
	known := make(map[string]bool)
	for _, u := range k.all() {
		if u.dropped {
			k.drop(u)
			continue
		}
		for _, p := range u.pods {
			known[string(p.UID)] = true
			if !podOver(p) {
				u.update(func() { markLost(p, k.now()) })
			}
		}
		u.process = nil
	}
	return k.sweepPods(known)
}

// sweepPods removes the folders of pods that no unit knows.
func (k *Kube) sweepPods(known map[string]bool) error {
	dirs, err := os.ReadDir(k.podsDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range dirs {
		if !known[d.Name()] {
			if err := os.RemoveAll(filepath.Join(k.podsDir(), d.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
