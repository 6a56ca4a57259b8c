package cluster

import (
	"encoding/json"
	"os"
	"strings"

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

// Images are this checkout's own, by short name (api, scheduler, bridge, aggregator, tallyman, processor, nats-server,
// own-image): what pods name to get them, with their digests. The same images also answer to the names that the chart
// has by default.
func (c *Cluster) Images() map[string]string {
	c.t.Helper()
	b, err := os.ReadFile(os.Getenv(control.ImagesFileEnv))
	if err != nil {
		c.t.Fatalf("the images of this checkout: %v", err)
	}
	var images map[string]string
	if err := json.Unmarshal(b, &images); err != nil {
		c.t.Fatal(err)
	}
	return images
}

// Image is one of Images, in the three values that the chart asks for.
func (c *Cluster) Image(name string) (repository, tag, digest string) {
	c.t.Helper()
	reference, found := c.Images()[name]
	if !found {
		c.t.Fatalf("this checkout has no image %q: %v", name, c.Images())
	}
	rest, digest, _ := strings.Cut(reference, "@")
	colon := strings.LastIndexByte(rest, ':')
	return rest[:colon], rest[colon+1:], digest
}

// Variant pushes an image of this checkout once more, under another tag and with another digest: as a newer one of
// the same program would be.
func (c *Cluster) Variant(short, tag string) (newTag, digest string) {
	c.t.Helper()
	repository, _, _ := c.Image(short)
	digest, err := control.PushVariant(c.t.Context(), c.Images()[short], strings.TrimPrefix(repository, control.Registry+"/")+":"+tag)
	if err != nil {
		c.t.Fatal(err)
	}
	return tag, digest
}
