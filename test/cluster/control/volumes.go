package control

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

const storageClass = "standard"

// provide makes a volume for each claim of the default storage class, as the provisioner of a real cluster does, and
// removes it when the claim has gone. Volumes are of the kind `local`, of which the kubelet honours fsGroup.
func (c *Control) provide(ctx context.Context) error {
	factory := informers.NewSharedInformerFactory(c.client, 0)
	claims := factory.Core().V1().PersistentVolumeClaims().Informer()
	volumes := factory.Core().V1().PersistentVolumes().Informer()
	provision := func(object any) {
		if claim, ok := object.(*corev1.PersistentVolumeClaim); ok {
			c.report("provisioning a volume", c.provision(claim))
		}
	}
	reclaim := func(object any) {
		if volume, ok := object.(*corev1.PersistentVolume); ok {
			c.report("removing a volume", c.reclaim(volume))
		}
	}
	for informer, act := range map[cache.SharedIndexInformer]func(any){claims: provision, volumes: reclaim} {
		if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc: act, UpdateFunc: func(_, now any) { act(now) },
		}); err != nil {
			return err
		}
	}
	factory.Start(nil) // as long as this process lives
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("watching %s: %w", kind, ctx.Err())
		}
	}
	return nil
}

func (c *Control) report(what string, err error) {
	if err != nil {
		slog.Error(what, "error", err)
	}
}

func (c *Control) provision(claim *corev1.PersistentVolumeClaim) error {
	spec := claim.Spec
	if claim.Status.Phase != corev1.ClaimPending || spec.VolumeName != "" ||
		spec.StorageClassName == nil || *spec.StorageClassName != storageClass {
		return nil
	}
	volumeName := "pvc-" + string(claim.UID)
	dir := filepath.Join(c.home, "volumes", volumeName)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: volumeName},
		Spec: corev1.PersistentVolumeSpec{
			StorageClassName:              storageClass,
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: spec.Resources.Requests[corev1.ResourceStorage]},
			AccessModes:                   spec.AccessModes,
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			ClaimRef: &corev1.ObjectReference{
				APIVersion: "v1", Kind: "PersistentVolumeClaim", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: dir}},
			NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
				MatchExpressions: []corev1.NodeSelectorRequirement{{
					Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{"node"},
				}},
			}}}},
		},
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	_, err := c.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (c *Control) reclaim(volume *corev1.PersistentVolume) error {
	if volume.Spec.StorageClassName != storageClass || volume.Status.Phase != corev1.VolumeReleased || volume.Spec.Local == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	err := c.client.CoreV1().PersistentVolumes().Delete(ctx, volume.Name, metav1.DeleteOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	return os.RemoveAll(volume.Spec.Local.Path)
}
