// Package kube is Kubernetes' API server as the bridge sees it. It fills the ports of package bridge over
// client-go, and is a package of its own so that `tallyman dev`, which has no API server, need not carry it.
//
// The map:
//
//	apiserver.go    what is asked of the API server
//	kubeconfig.go   the file that names the API server, where this is no pod
//	source.go       listing and watching one kind, and why it could not be done
//	informers.go    the port Kubernetes: watches, their cache, and whom they give notice of
//	events.go       the port KubernetesEvents: which of them are a queue's, and of what they speak
//	lease.go        the port Leader: one bridge leads, by a Lease
package kube
