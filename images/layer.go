package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// file is one entry of a layer; a folder has no body.
type file struct {
	mode int64
	body []byte
	dir  bool
}

// layer packs files, by their path in the image, together with the folders above them. Everything belongs to root and
// nobody may write it, everything is as old as Unix, and the order is the names': the same files are the same bytes.
func layer(files map[string]file) (v1.Layer, error) {
	all := maps.Clone(files)
	for name := range files {
		for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
			all[dir] = file{mode: 0o755, dir: true}
		}
	}
	var b bytes.Buffer
	// The level is the one that every Go release has had as its default; the header has no name and no time.
	z, err := gzip.NewWriterLevel(&b, 6)
	if err != nil {
		return nil, err
	}
	w := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := add(w, name, all[name]); err != nil {
			return nil, fmt.Errorf("packing %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer))
}

func add(w *tar.Writer, name string, f file) error {
	h := &tar.Header{
		Typeflag: tar.TypeReg, Name: strings.TrimPrefix(name, "/"), Mode: f.mode, Size: int64(len(f.body)),
		ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	}
	if f.dir {
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(f.body)
	return err
}
