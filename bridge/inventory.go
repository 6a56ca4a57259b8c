package bridge

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"tallyman/contract"
)

// Inventory is the bucket "audit", where this cluster's Kubernetes Jobs are told of, for an audit to hold
// claims to. *stream.Bucket fills it.
type Inventory interface {
	Put(ctx context.Context, key string, value []byte) (uint64, error)
}

const (
	// tellEvery is how often the inventory is made, and told of where it is another.
	tellEvery = 15 * time.Second
	// retellAfter is when one that has not changed is told of again, so that it does not look old.
	retellAfter = time.Minute
	// maxStrangers is how many claimed units that no list shows are asked for in one inventory.
	maxStrangers = 20
)

// tellForEver tells of the Kubernetes Jobs until ctx ends. What cannot be told now is told the next time; an
// audit sees by its age that nobody told.
func (b *Bridge) tellForEver(ctx context.Context) error {
	tick := b.o.Clock.NewTicker(tellEvery)
	defer tick.Stop()
	var told contract.Inventory
	for {
		i, err := b.inventory(ctx)
		if err == nil && (!slices.Equal(i.Units, told.Units) || i.At.Sub(told.At.Time) >= retellAfter) {
			if err = b.tell(ctx, &i); err == nil {
				told = i
			}
		}
		if err != nil && ctx.Err() == nil {
			b.o.Log.Debug("the Kubernetes Jobs could not be told of; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.Chan():
		}
	}
}

func (b *Bridge) tell(ctx context.Context, i *contract.Inventory) error {
	value, err := json.Marshal(i)
	if err != nil {
		return fmt.Errorf("encode the inventory of %s: %w", i.Cluster, err)
	}
	_, err = b.o.Inventory.Put(ctx, contract.InventoryKey(i.Cluster), value)
	return err
}

// inventory lists what an audit needs. Its time is from before the list, so that whatever was claimed until
// then is in it.
func (b *Bridge) inventory(ctx context.Context) (contract.Inventory, error) {
	i := contract.Inventory{V: contract.InventoryVersion, Cluster: b.o.Cluster, At: contract.At(b.o.Clock.Now()), Units: []contract.InventoryUnit{}}
	if err := b.identity.sure(ctx, sureFor, false); err != nil {
		return i, err
	}
	jobs, err := b.o.Kubernetes.Units(ctx)
	if err != nil {
		return i, err
	}
	for _, j := range jobs {
		if u := entryOf(j); (!u.Over || u.ByHand) && b.o.mine(b.o.Cluster, u.Namespace) {
			i.Units = append(i.Units, u)
		}
	}
	if err := b.addStrangers(ctx, &i); err != nil {
		return i, err
	}
	slices.SortFunc(i.Units, func(a, b contract.InventoryUnit) int { return cmp.Compare(a.Unit, b.Unit) })
	if over := len(i.Units) - contract.MaxInventory; over > 0 {
		i.Units, i.More = i.Units[:contract.MaxInventory], over
	}
	return i, nil
}

// addStrangers adds the Kubernetes Jobs that hold a claim and are on no list: without KEDA's label they are
// made by hand.
func (b *Bridge) addStrangers(ctx context.Context, i *contract.Inventory) error {
	asked := 0
	for _, uid := range b.books.opened() {
		p, ok := b.books.place(uid)
		if !ok || i.Find(uid) != nil || asked == maxStrangers {
			continue
		}
		asked++
		j, _, err := b.o.Kubernetes.Unit(ctx, p.namespace, p.name, uid, true)
		if err != nil {
			return err
		}
		if j == nil {
			continue
		}
		if u := entryOf(j); !u.Over || u.ByHand {
			u.Queue = cmp.Or(u.Queue, p.queue)
			i.Units = append(i.Units, u)
		}
	}
	return nil
}

func entryOf(j *batchv1.Job) contract.InventoryUnit {
	return contract.InventoryUnit{
		Unit: string(j.UID), Queue: j.Annotations[contract.AnnotationQueue], Namespace: j.Namespace, Name: j.Name,
		MadeAt: contract.At(j.CreationTimestamp.Time), Over: finished(j), ByHand: !ownedByScaledJob(j),
	}
}

// ownedByScaledJob tells whether KEDA made it: it names the ScaledJob as the controller.
func ownedByScaledJob(j *batchv1.Job) bool {
	for i := range j.OwnerReferences {
		if o := &j.OwnerReferences[i]; o.Kind == contract.KindScaledJob {
			return true
		}
	}
	return false
}
