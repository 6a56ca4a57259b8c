// Package kedatest holds localkube's formula to KEDA's own. It is a module of its own, since KEDA's
// package pulls in ten times what the rest of Tallyman needs.
package kedatest

import (
	"testing"

	"github.com/go-logr/logr"
	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	"github.com/kedacore/keda/v2/pkg/scaling/executor"

	"tallyman/internal/localkube"
)

const (
	mostMessages = 60
	mostUnits    = 25
)

// TestAccurate asks both for every state that a queue of 60 messages with up to 25 units can be in.
func TestAccurate(t *testing.T) {
	t.Parallel()
	strategy := executor.NewScalingStrategy(logr.Discard(), &kedav1alpha1.ScaledJob{
		Spec: kedav1alpha1.ScaledJobSpec{ScalingStrategy: kedav1alpha1.ScalingStrategy{Strategy: "accurate"}},
	})
	states := 0
	for queue := range int64(mostMessages + 1) {
		for most := int64(1); most <= mostUnits; most++ {
			for running := range most + 1 {
				for pending := range running + 1 {
					maxScale := min(queue, most)
					want, _ := strategy.GetEffectiveMaxScale(maxScale, running, pending, most, queue)
					if got := localkube.Accurate(maxScale, running, pending, most); got != want {
						t.Fatalf("queue %d, max %d, running %d, pending %d: %d units, KEDA makes %d", queue, most, running, pending, got, want)
					}
					states++
				}
			}
		}
	}
	if states < 100_000 {
		t.Errorf("only %d states were compared", states)
	}
}
