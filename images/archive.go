package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// archive writes an image to a file that both `docker load` and `ctr images import` read, as `docker save` does: an OCI
// layout, whose index keeps the image's digest, and beside it Docker's own manifest.json over the same blobs.
func archive(path string, tag name.Tag, image v1.Image) error {
	entries, err := layout(tag, image)
	if err != nil {
		return fmt.Errorf("laying out %s: %w", path, err)
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := add(w, e.name, file{mode: 0o444, body: e.body}); err != nil {
			return fmt.Errorf("packing %s: %w", path, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	// Written beside it and renamed, so that nobody loads half an image.
	if err := os.WriteFile(path+".new", b.Bytes(), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

type entry struct {
	name string
	body []byte
}

func blob(h v1.Hash) string { return filepath.Join("blobs", h.Algorithm, h.Hex) }

// containerdName is the tag as containerd and Kubernetes write it: Docker Hub under the name that people know.
func containerdName(tag name.Tag) string {
	return strings.Replace(tag.Name(), "index.docker.io/", "docker.io/", 1)
}

// layout gives the files of the archive, in the order of writing.
func layout(tag name.Tag, image v1.Image) ([]entry, error) {
	manifest, err := image.RawManifest()
	if err != nil {
		return nil, err
	}
	digest, err := image.Digest()
	if err != nil {
		return nil, err
	}
	mediaType, err := image.MediaType()
	if err != nil {
		return nil, err
	}
	config, err := image.RawConfigFile()
	if err != nil {
		return nil, err
	}
	configName, err := image.ConfigName()
	if err != nil {
		return nil, err
	}
	entries := []entry{{blob(digest), manifest}, {blob(configName), config}}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, l := range layers {
		e, err := layerEntry(l)
		if err != nil {
			return nil, err
		}
		entries, names = append(entries, e), append(names, e.name)
	}
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, Manifests: []v1.Descriptor{{
		MediaType: mediaType, Digest: digest, Size: int64(len(manifest)),
		Annotations: map[string]string{"io.containerd.image.name": containerdName(tag), "org.opencontainers.image.ref.name": tag.TagStr()},
	}}})
	if err != nil {
		return nil, err
	}
	docker, err := json.Marshal([]map[string]any{{"Config": blob(configName), "RepoTags": []string{tag.String()}, "Layers": names}})
	if err != nil {
		return nil, err
	}
	return append(entries, entry{"index.json", index}, entry{"manifest.json", docker},
		entry{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}), nil
}

func layerEntry(l v1.Layer) (entry, error) {
	digest, err := l.Digest()
	if err != nil {
		return entry{}, err
	}
	r, err := l.Compressed()
	if err != nil {
		return entry{}, err
	}
	defer func() { _ = r.Close() }()
	body, err := io.ReadAll(r)
	return entry{blob(digest), body}, err
}
