package control

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"golang.org/x/sync/errgroup"
)

// ImagesEnv names a folder of image archives, as `make images TAR=folder` writes them; they are pushed at the start.
const ImagesEnv = "TALLYMAN_CLUSTER_IMAGES"

// ImagesFileEnv names, inside, the file with their references.
const ImagesFileEnv = "TALLYMAN_CLUSTER_IMAGES_FILE"

// Under these names a cluster of the tests also has what the internet would have: whatever is installed by a public
// name is what was built here.
const (
	releaseTag  = "0.1.0"
	publicNATS  = "library/nats:2.15.2"
	natsInHouse = "nats-server"
)

// Images are references by short name, api for localhost:5000/tallyman/api:TAG@DIGEST.
type Images map[string]string

// ImagesFile is where the references are for programs inside.
func (c *Control) ImagesFile() string { return filepath.Join(c.home, "images.json") }

// pushArchives pushes every archive of a folder and writes the references down.
func (c *Control) pushArchives(ctx context.Context, dir string) error {
	images := make(Images)
	if dir != "" {
		files, err := filepath.Glob(filepath.Join(dir, "*.tar"))
		if err != nil {
			return err
		}
		if len(files) == 0 {
			return fmt.Errorf("there is no archive in %s: make images TAR=%[1]s", dir)
		}
		references := make([]string, len(files))
		all, ctx := errgroup.WithContext(ctx)
		for i, file := range files {
			all.Go(func() (err error) {
				references[i], err = c.pushArchive(ctx, file)
				return err
			})
		}
		if err := all.Wait(); err != nil {
			return err
		}
		for _, reference := range references {
			images[shortName(reference)] = reference
		}
	}
	b, err := json.Marshal(images)
	if err != nil {
		return err
	}
	return os.WriteFile(c.ImagesFile(), b, 0o644)
}

// shortName is api of localhost:5000/tallyman/api:TAG@DIGEST.
func shortName(reference string) string {
	last := reference[strings.LastIndexByte(reference[:strings.IndexByte(reference, '@')], '/')+1:]
	return last[:strings.IndexByte(last, ':')]
}

// pushArchive pushes the image of one archive, an OCI layout in a tar file, so that it keeps its digest.
func (c *Control) pushArchive(ctx context.Context, file string) (string, error) {
	dir, err := os.MkdirTemp("", "archive-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := unpack(file, dir); err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	path, err := layout.FromPath(dir)
	if err != nil {
		return "", fmt.Errorf("%s is no OCI layout: %w", file, err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		return "", err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return "", err
	}
	if len(manifest.Manifests) != 1 {
		return "", fmt.Errorf("%s holds %d images, not one", file, len(manifest.Manifests))
	}
	only := manifest.Manifests[0]
	image, err := path.Image(only.Digest)
	if err != nil {
		return "", err
	}
	tag, err := name.NewTag(only.Annotations["io.containerd.image.name"])
	if err != nil {
		return "", fmt.Errorf("%s does not say what its image is called: %w", file, err)
	}
	for _, as := range alsoAs(tag) {
		if err := PushImage(ctx, as, image); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%s/%s:%s@%s", Registry, tag.RepositoryStr(), tag.TagStr(), only.Digest), nil
}

func alsoAs(tag name.Tag) []string {
	all := []string{tag.RepositoryStr() + ":" + tag.TagStr(), tag.RepositoryStr() + ":" + releaseTag}
	if filepath.Base(tag.RepositoryStr()) == natsInHouse {
		all = append(all, publicNATS)
	}
	return all
}

// unpack writes a tar file's plain files below dir.
func unpack(file, dir string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	root, err := os.OpenRoot(dir) // no name in the archive leads out of it
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	r := tar.NewReader(f)
	for { // ends with the archive
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(filepath.Dir(header.Name), 0o755); err != nil {
			return err
		}
		out, err := root.Create(header.Name)
		if err != nil {
			return err
		}
		if _, err := io.Copy(out, r); err != nil {
			return errors.Join(err, out.Close())
		}
		if err := out.Close(); err != nil {
			return err
		}
	}
}
