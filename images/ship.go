package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
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
		release := tag.Context().Tag(o.Origin.Version)
		if err := stays(ctx, release, image); err != nil {
			return err
		}
		tags = append(tags, release)
	}
	for _, tag := range tags {
		if err := remote.Write(tag, image, registryOptions(ctx)...); err != nil {
			return unreachable("pushing", tag, err)
		}
	}
	return nil
}

// stays refuses a release whose tag is another image already: a node that has that one would never ask for this one.
func stays(ctx context.Context, tag name.Tag, image v1.Image) error {
	have, err := remote.Head(tag, registryOptions(ctx)...)
	var answer *transport.Error
	switch {
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return nil
	case err != nil:
		return unreachable("looking for", tag, err)
	}
	digest, err := image.Digest()
	if err == nil && have.Digest != digest {
		err = fmt.Errorf("%s is another image already (%s, this is %s), and a tag never moves: push this one under another version", tag, have.Digest, digest)
	}
	return err
}

func registryOptions(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
}

func unreachable(what string, tag name.Tag, err error) error {
	return fmt.Errorf("%s %s (is the registry there, does it want `docker login`, does it speak only HTTP: --insecure?): %w", what, tag, err)
}
