package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A NATS whose disk was full refuses every write, also when there is room again. Kubernetes gives the chart's own another
// life then, and all that was acknowledged is there.
func TestTheBundledNATSStoresAgainAfterAFullDisk(t *testing.T) {
	t.Parallel()
	w := prepare(t)
	disk := w.smallDisk("data-tallyman-nats-0")
	w.install()
	w.becomes(w.submit(quick()), "succeeded", long)

	mend := disk.fill(t)
	taken, refused := 1, 0
	// One refusal alone may be a machine that is too busy to answer in time.
	w.Eventually(long, "five posts in a row are refused, since NATS cannot store them", func(ctx context.Context) error {
		if err := w.ask(ctx, "POST", "/jobs", quick(), nil); err == nil {
			taken, refused = taken+1, 0
			return errors.New("it was taken")
		}
		if refused++; refused < 5 {
			return fmt.Errorf("refused %d times", refused)
		}
		return nil
	})
	// A life that begins on the full disk is no better, and ends as well.
	w.Eventually(long, "NATS was given two other lives", func(context.Context) error {
		if n := w.livesOfNATS(); n < 2 {
			return fmt.Errorf("it was given %d", n)
		}
		return nil
	})
	mend()
	w.Eventually(long, "a post is taken again", func(ctx context.Context) error {
		err := w.ask(ctx, "POST", "/jobs", quick(), nil)
		if err == nil {
			taken++
		}
		return err
	})
	// A post that was refused may have been stored all the same, and its client not have heard of it.
	w.Eventually(long, fmt.Sprintf("the %d jobs that were taken have succeeded", taken), func(ctx context.Context) error {
		var s stats
		if err := w.ask(ctx, "GET", "/jobs/stats", nil, &s); err != nil {
			return err
		}
		if n := s.Jobs["succeeded"]; !s.Balanced || n < taken || n != s.Jobs["submitted"] {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// livesOfNATS is how often it was begun again.
func (w *tallyman) livesOfNATS() int32 {
	w.t.Helper()
	pod, err := w.Client().CoreV1().Pods(w.namespace).Get(w.t.Context(), "tallyman-nats-0", metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return pod.Status.ContainerStatuses[0].RestartCount
}

// smallDisk is a disk in memory, which can be filled without harm to the machine.
type smallDisk struct{ folder string }

// smallDisk puts one under a claim that is made before the pod which wants it, and goes with the test.
func (w *tallyman) smallDisk(claim string) *smallDisk {
	w.t.Helper()
	folder := w.t.TempDir()
	if err := os.Chmod(filepath.Dir(folder), 0o755); err != nil { // a pod's user has to come through
		w.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=64m"); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			w.t.Error(err)
		}
	})
	none, size := "", corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("64Mi")}
	modes := []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	core := w.Client().CoreV1()
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: w.namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: size, AccessModes: modes, PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: folder}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpExists}},
			}}}},
		},
	}
	if _, err := core.PersistentVolumes().Create(w.t.Context(), volume, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		err := core.PersistentVolumes().Delete(context.WithoutCancel(w.t.Context()), volume.Name, metav1.DeleteOptions{})
		if err != nil {
			w.t.Error(err)
		}
	})
	_, err := core.PersistentVolumeClaims(w.namespace).Create(w.t.Context(), &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Name: claim},
		Spec: corev1.PersistentVolumeClaimSpec{
			StorageClassName: &none, VolumeName: volume.Name, AccessModes: modes,
			Resources: corev1.VolumeResourceRequirements{Requests: size},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return &smallDisk{folder}
}

// fill leaves no room at all, and gives what makes room again.
func (d *smallDisk) fill(t *testing.T) (mend func()) {
	t.Helper()
	filler := filepath.Join(d.folder, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // nobody reads it
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
	}
}
