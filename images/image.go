package main

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Build compiles an image's program and puts the image together.
func (r Recipe) Build(ctx context.Context, t Tree, given Origin) (v1.Image, error) {
	files, err := r.Inputs(ctx, t)
	if err != nil {
		return nil, err
	}
	o, err := t.origin(ctx, files, given)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tallyman-image-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	out := filepath.Join(dir, r.Name)
	t.release = o.Version
	if err := r.compile(ctx, t, out); err != nil {
		return nil, fmt.Errorf("building the program of the image %s: %w", r.Name, err)
	}
	program, err := os.ReadFile(out)
	if err != nil {
		return nil, err
	}
	if err := runsOnNothing(program); err != nil {
		return nil, fmt.Errorf("the program of the image %s %w", r.Name, err)
	}
	return r.assemble(program, o)
}

// runsOnNothing refuses a program that would need a libc, or another system, at its first start in a cluster.
func runsOnNothing(program []byte) error {
	f, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return fmt.Errorf("is not one for Linux: build it on Linux, or use its Dockerfile (%w)", err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return errors.New("asks for a dynamic linker, and an image from nothing has none: link it statically")
		}
	}
	return nil
}

// assemble joins the layers and the configuration. What changes least lies lowest, so that it is pulled once.
func (r Recipe) assemble(program []byte, o Origin) (v1.Image, error) {
	base := map[string]file{rootsPath: {mode: 0o444, body: roots()}}
	for _, dir := range r.Dirs {
		base[dir] = file{mode: 0o755, dir: true}
	}
	top := map[string]file{r.Program: {mode: 0o555, body: program}}
	for name, body := range r.Files {
		top[name] = file{mode: 0o444, body: []byte(body)}
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.ConfigFile(image, &v1.ConfigFile{
		Architecture: runtime.GOARCH, OS: "linux", Created: v1.Time{Time: o.Created}, Config: r.config(o),
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}},
	})
	if err != nil {
		return nil, err
	}
	for _, part := range []struct {
		what  string
		files map[string]file
	}{{"certificate authorities", base}, {"program", top}} {
		l, err := layer(part.files)
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{
			Layer: l, MediaType: types.OCILayer,
			History: v1.History{Created: v1.Time{Time: o.Created}, CreatedBy: "tallyman/images", Comment: part.what},
		})
		if err != nil {
			return nil, err
		}
	}
	annotated, ok := mutate.Annotations(image, o.labels(r)).(v1.Image)
	if !ok {
		return nil, errors.New("annotating an image did not give an image")
	}
	return annotated, nil
}

// config is what a container runtime is told.
func (r Recipe) config(o Origin) v1.Config {
	return v1.Config{
		User: user, Entrypoint: []string{r.Program}, Cmd: r.Cmd, WorkingDir: "/", Labels: o.labels(r),
		Env: append([]string{"PATH=" + searchPath(r.Program), "SSL_CERT_FILE=" + rootsPath}, r.Env...),
	}
}

// searchPath finds the program by its bare name too, which a pod's `command` may use.
func searchPath(program string) string {
	const usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if dir := filepath.Dir(program); dir != "/usr/local/bin" {
		return usual + ":" + dir
	}
	return usual
}
