// Package v1alpha1 is as much of KEDA's ScaledJob as its strategies read.
package v1alpha1

// ScaledJob is what a user orders of KEDA.
type ScaledJob struct{ Spec ScaledJobSpec }

// ScaledJobSpec holds the strategy.
type ScaledJobSpec struct{ ScalingStrategy ScalingStrategy }

// ScalingStrategy names one and carries the knobs of "custom".
type ScalingStrategy struct {
	Strategy                          string
	CustomScalingQueueLengthDeduction *int32
	CustomScalingRunningJobPercentage string
}
