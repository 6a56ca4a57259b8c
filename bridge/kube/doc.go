// Package kube is Kubernetes' API server as the bridge sees it. It fills the ports of package bridge over
// client-go, and is a package of its own so that `tallyman dev`, which has no API server, need not carry it.
//
// The map:
//
//	apiserver.go    what is asked of the API server, and why it could not be
//	informers.go    the port Kubernetes: watches, their cache, and whom they give notice of
package kube
