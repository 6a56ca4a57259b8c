// Command images builds Tallyman's container images without Docker.
//
// An image is a program, a bundle of certificate authorities and a configuration: two tar layers and some JSON. Nothing
// runs to make them, so nothing of the machine that makes them gets in, and two builds of one commit have one digest.
//
//	catalog.go  which images there are, and what each is made of
//	tree.go     the checkout, and running commands in it
//	program.go  the compilers
//	inputs.go   the files that an image's program is made of
//	origin.go   where it comes from: revision, time, version
//	roots.go    the bundle of certificate authorities
//	layer.go    files to a layer, always the same bytes
//	image.go    layers and a configuration to an image
//	ship.go     an image to a registry
//	archive.go  an image to a file
//	values.go   what was built, as values of the chart
//	main.go     the command line
//
// The Dockerfiles beside it make the same layout for those who have Docker; tests hold the two together, and hold
// skaffold.yaml to inputs.go.
package main
