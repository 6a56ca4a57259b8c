// Command keda answers with KEDA's own strategies, which the test cuts out of KEDA's source and puts beside this
// file: for each line "strategy maxScale running pending maxReplicas" on stdin, the units of this poll.
package main

import (
	"bufio"
	"fmt"
	"os"

	"keda/logr"
	"keda/v1alpha1"
)

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		var job v1alpha1.ScaledJob
		var maxScale, running, pending, most int64
		_, err := fmt.Fscanln(in, &job.Spec.ScalingStrategy.Strategy, &maxScale, &running, &pending, &most)
		if err != nil {
			return
		}
		units, _ := NewScalingStrategy(logr.Logger{}, &job).GetEffectiveMaxScale(maxScale, running, pending, most, maxScale)
		fmt.Fprintln(out, units)
	}
}
