package main

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// contentTag names an image by its own digest, so that a tag never moves: not to another program, not to another label.
func contentTag(image v1.Image) (string, error) {
	digest, err := image.Digest()
	if err != nil {
		return "", err
	}
	return digest.Hex[:12], nil
}

// reference gives `registry/name:tag` of an image, or what --as says.
func reference(o Options, r Recipe, image v1.Image) (name.Tag, error) {
	var how []name.Option
	if o.Insecure {
		how = append(how, name.Insecure)
	}
	if o.As != "" {
		tag, err := name.NewTag(o.As, how...)
		if err != nil {
			return tag, fmt.Errorf("--as: %w", err)
		}
		return tag, nil
	}
	content, err := contentTag(image)
	if err != nil {
		return name.Tag{}, err
	}
	tag, err := name.NewTag(o.Registry+"/"+r.Name+":"+content, how...)
	if err != nil {
		return tag, fmt.Errorf("--registry: %w", err)
	}
	return tag, nil
}

// push sends an image under its tag, with the credentials that `docker login` would use; a release under its version too,
// which is what the chart asks for where nobody says another.
func (o Options) push(ctx context.Context, tag name.Tag, image v1.Image) error {
	tags := []name.Tag{tag}
	if o.Origin.Version != "" && o.As == "" {
		tags = append(tags, tag.Context().Tag(o.Origin.Version))
	}
	for _, tag := range tags {
		if err := remote.Write(tag, image, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
			return fmt.Errorf("pushing %s (is the registry there, does it want `docker login`, does it speak only HTTP: --insecure?): %w", tag, err)
		}
	}
	return nil
}
