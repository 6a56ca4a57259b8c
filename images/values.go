package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// chartValues writes references, by the image's name, as values of the chart that name exactly these images, and no other registry
// for anything else. Everything is quoted: a tag may be all digits. Of archives the tag has to do, since what is loaded
// from one is not found by its digest.
func chartValues(references map[string]any, pushed bool) []byte {
	var b strings.Builder
	b.WriteString("# Written by `make images`, for `helm install --values`.\n")
	for _, name := range slices.Sorted(maps.Keys(references)) {
		key := chartKey(name)
		if key == "" {
			continue
		}
		tagged, digest, _ := strings.Cut(fmt.Sprint(references[name]), "@")
		if !pushed {
			digest = ""
		}
		colon := strings.LastIndexByte(tagged, ':')
		slash := strings.LastIndexByte(tagged, '/')
		fmt.Fprintf(&b, "%s: {image: {registry: %q, repository: %q, tag: %q, digest: %q}}\n",
			key, tagged[:max(slash, 0)], tagged[slash+1:colon], tagged[colon+1:], digest)
	}
	return []byte(b.String())
}

// chartKey is where the chart's values have an image, "" for what is not the chart's.
func chartKey(image string) string {
	switch image {
	case "tallyman":
		return "cli"
	case "nats-server":
		return "nats"
	case "own-image":
		return ""
	}
	return image
}
