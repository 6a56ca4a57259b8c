package explain

import (
	"fmt"
	"strings"
	"time"

	"tallyman/contract"
)

// ordinarily is how long a pod may take to be made and to begin before that is worth a word.
const ordinarily = 30 * time.Second

// blockedRows are what keeps a pod from beginning: the job's own, or, while nobody has claimed it, those of
// its queue that might. They are never written to.
var blockedRows = [...]row{
	{
		name: "pods-refused",
		holds: both(unended, func(f *Facts) bool {
			w, r := f.wait(), f.remark("FailedCreate")
			return w != nil && (w.For == contract.WaitPod || w.For == contract.WaitBackoff) && r != nil && f.Now.Sub(r.Last.Time) < 20*time.Minute && !r.Last.Before(w.Since.Time)
		}),
		says: func(f *Facts) string {
			return because(f.pods("Kubernetes refuses to make %s"), f.remark("FailedCreate").Message) + "."
		},
		next: describe("job", "Mend what it names: a quota, Pod Security, a service account. Kubernetes tries again by itself"),
	},
	{
		name:  "suspended",
		holds: waitsFor(contract.WaitSuspended),
		says: func(f *Facts) string {
			return "Kubernetes Job " + f.wait().Name + " is suspended, so none of its pods is made."
		},
		next: func(f *Facts) []string {
			w := f.wait()
			return []string{fmt.Sprintf("Let it go on: `kubectl -n %s patch job %s -p '{\"spec\":{\"suspend\":false}}'`.", w.Namespace, w.Name)}
		},
	},
	{
		name:  "unschedulable",
		holds: waitsFor(contract.WaitNode),
		says: func(f *Facts) string {
			return because(f.pods("The scheduler finds no node for %s"), f.wait().Message, f.wait().Reason) + "."
		},
		next: describe("pod", "Make room or nodes, or ask for less in the queue's `resources`"),
	},
	{
		name:  "image-pull",
		holds: waitsFor(contract.WaitImage),
		says: func(f *Facts) string {
			said := f.wait().Message
			if r := f.remark("Failed"); r != nil && !strings.Contains(said, "failed") && strings.Contains(r.Message, "pull") {
				said = r.Message // the back-off's own message has no more than the image's name
			}
			return because(f.pods("The image of %s cannot be pulled"), said, f.wait().Reason) + "."
		},
		next: describe("pod", "Push the image or mend its name, or give the pods a pull secret; the kubelet tries again by itself"),
	},
	{
		name:  "missing-config",
		holds: waitsFor(contract.WaitConfig),
		says: func(f *Facts) string {
			return because(f.pods("A Secret or ConfigMap of %s is missing"), f.wait().Message, f.wait().Reason) + "."
		},
		next: describe("pod", "Make what it names; the kubelet tries again by itself"),
	},
	{
		name: "missing-volume",
		holds: func(f *Facts) bool {
			return waitsFor(contract.WaitCreating)(f) && f.remark("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox") != nil
		},
		says: func(f *Facts) string {
			return because(f.pods("The kubelet cannot prepare %s"), f.remark("FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox").Message) + "."
		},
		next: describe("pod", "Make or mend the volume, Secret or ConfigMap that it names; the kubelet tries again by itself"),
	},
	{
		name:  "cannot-start",
		holds: waitsFor(contract.WaitStart),
		says: func(f *Facts) string {
			return because(f.pods("A container of %s cannot be started"), f.wait().Message, f.wait().Reason) + "."
		},
		next: describe("pod", "Mend the image or the queue's configuration"),
	},
	{
		name:  "node-silent",
		holds: waitsFor(contract.WaitSilent),
		says: func(f *Facts) string {
			w := f.wait()
			return because(fmt.Sprintf("Node %s does not answer since %s, so nobody knows what becomes of pod %s; if it stays silent, Kubernetes takes the pod away, by default after 5 minutes, and a new one goes on", w.Node, clock(w.Since.Time), w.Pod), w.Message) + "."
		},
		next: func(f *Facts) []string {
			return []string{fmt.Sprintf("Look after the node: `kubectl describe node %s`. If it will not come back, delete it, and its pods are judged at once.", f.wait().Node)}
		},
	},
	{
		name: "claim-failing",
		holds: both(queued, func(f *Facts) bool {
			w := f.wait()
			return w != nil && w.For == contract.WaitBackoff
		}),
		says: func(f *Facts) string {
			w := f.wait()
			return fmt.Sprintf("The pods of queue %q end before they claim a message, %s in a row in Kubernetes Job %s; the next is made %s.",
				f.Job.Queue, count(w.Failures, "time"), w.Name, f.in(w.Due.Time))
		},
		next: func(f *Facts) []string {
			w := f.wait()
			return []string{fmt.Sprintf("Read why: `kubectl -n %s logs job/%s -c claim`. The claim needs NATS, SQS and its credentials for both.", w.Namespace, w.Name)}
		},
		due: func(f *Facts) time.Time { return f.wait().Due.Time },
	},
	{
		name: "pod-slow",
		holds: both(unended, func(f *Facts) bool {
			w := f.wait()
			slow := w != nil && (w.For == contract.WaitCreating || w.For == contract.WaitInit || w.For == contract.WaitPod)
			return slow && f.Now.Sub(w.Since.Time) > ordinarily && !accepted(f)
		}),
		says: func(f *Facts) string {
			return fmt.Sprintf("Making %s takes %s by now: an image is pulled, or a volume is prepared.", f.pods("%s"), span(f.Now.Sub(f.wait().Since.Time)))
		},
		next: describe("pod", "A first pull of a large image takes minutes; what it waits for is in its Events"),
	},
}

// waitsFor tells whether the unit that matters waits for one thing.
func waitsFor(what contract.Wait) func(*Facts) bool {
	return both(unended, func(f *Facts) bool {
		w := f.wait()
		return w != nil && w.For == what && !accepted(f)
	})
}

// pods names the pods that a sentence is about.
func (f *Facts) pods(sentence string) string {
	if _, claimed := f.unit(); claimed {
		return fmt.Sprintf(sentence, fmt.Sprintf("the pod of attempt %d", f.Job.Attempt+btoi(retrying(f))))
	}
	return fmt.Sprintf(sentence, fmt.Sprintf("the pods of queue %q", f.Job.Queue))
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// describe is the step of reading what Kubernetes says of a pod, or of its Kubernetes Job.
func describe(kind, then string) func(*Facts) []string {
	return func(f *Facts) []string {
		w := f.wait()
		object := "pod " + w.Pod
		if kind == "job" || w.Pod == "" {
			object = "job " + w.Name
		}
		return []string{fmt.Sprintf("%s; `kubectl -n %s describe %s` says it in full.", then, w.Namespace, object)}
	}
}
