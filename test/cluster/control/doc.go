// Package control brings a one-node Kubernetes up inside an enclosure, keeps its parts running, and stops and starts
// them when a test asks.
//
//	start.go    from nothing to a Ready node with KEDA, as many things at once as can be
//	part.go     one process: begun, watched, stopped, begun again
//	parts.go    which processes, and how each is called
//	files.go    the configuration files that they read (config/)
//	pki.go      one authority and everybody's certificate
//	objects.go  what is put into the new cluster: DNS, KEDA, a storage class
//	volumes.go  makes a folder for each PersistentVolumeClaim
//	registry.go images, served to containerd
//	archive.go  the images of this checkout, put there
//	server.go   the socket on which tests ask for parts to be stopped and started
//	ask.go      the other end of it
package control
