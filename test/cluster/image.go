package cluster

import (
	"tallyman/test/cluster/control"
)

// Registry is the host:port of the registry that pods' images come from; nothing is asked of whoever pushes to it, and
// it speaks plain HTTP. An image of any public name is looked for in it too, by the name without its registry:
// what is pushed as localhost:5000/library/nats:2.15.2 is what a pod gets as nats:2.15.2.
func (c *Cluster) Registry() string { return control.Registry }

// PushProgram makes an image of one static program, its entrypoint at /NAME, pushes it and returns its reference.
func (c *Cluster) PushProgram(image, file, place string) string {
	c.t.Helper()
	if err := control.PushProgram(c.t.Context(), image, file, place); err != nil {
		c.t.Fatal(err)
	}
	return control.Registry + "/" + image
}
