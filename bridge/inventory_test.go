package bridge

import (
	"encoding/json"
	"testing"
	"time"

	"tallyman/contract"
)

func TestTellsOfKubernetesJobs(t *testing.T) {
	t.Parallel()
	b, v := newBench(t), readView(t, "testdata/units/running-1.35.yaml")
	bucket, err := b.stream.Bucket(t.Context(), contract.BucketAudit)
	if err != nil {
		t.Fatal(err)
	}
	b.o.Inventory = bucket
	b.cluster.set(v)
	b.put(v)
	b.run()
	b.step = time.Second
	told := func(what string, ok func(i contract.Inventory, u *contract.InventoryUnit) bool) {
		t.Helper()
		b.until(what, func() bool {
			var i contract.Inventory
			e, err := bucket.Get(t.Context(), contract.InventoryKey("prod-eu"))
			return err == nil && json.Unmarshal(e.Value, &i) == nil && i.Cluster == "prod-eu" && ok(i, i.Find(v.UID))
		})
	}
	told("one that KEDA made", func(_ contract.Inventory, u *contract.InventoryUnit) bool {
		return u != nil && !u.ByHand && !u.Over && u.Name == v.Name && u.Queue == "default"
	})
	hand := v
	hand.Job = v.Job.DeepCopy()
	hand.Job.OwnerReferences, hand.Job.Annotations = nil, nil
	b.cluster.mu.Lock()
	b.cluster.unlisted[v.UID] = true // KEDA's label is missing too: only the claim tells of it
	b.cluster.mu.Unlock()
	b.cluster.set(hand)
	told("one made by hand", func(i contract.Inventory, u *contract.InventoryUnit) bool {
		return u != nil && u.ByHand && u.Queue == "default" && len(i.Units) == 1
	})
	v.Job = nil
	b.cluster.set(v)
	told("that it is gone", func(i contract.Inventory, u *contract.InventoryUnit) bool { return u == nil })
}
