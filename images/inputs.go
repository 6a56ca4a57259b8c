package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// goPackage is what `go list` says of one package.
type goPackage struct {
	Dir        string
	Module     *struct{ Main bool }
	GoFiles    []string
	EmbedFiles []string
}

// goInputs gives the files of ours that a main package links, and the two that say which of others'.
func goInputs(main string) func(context.Context, Tree) ([]string, error) {
	return func(ctx context.Context, t Tree) ([]string, error) {
		out, err := t.run(ctx, t.goEnv(), "go", "list", "-tags", imageTag, "-deps", "-json=Dir,Module,GoFiles,EmbedFiles", main)
		if err != nil {
			return nil, err
		}
		files := []string{"go.mod", "go.sum"}
		for d := json.NewDecoder(strings.NewReader(out)); ; {
			var p goPackage
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("reading what go list says of %s: %w", main, err)
			}
			if p.Module == nil || !p.Module.Main {
				continue
			}
			dir, err := filepath.Rel(t.Root, p.Dir)
			if err != nil {
				return nil, err
			}
			for _, f := range append(p.GoFiles, p.EmbedFiles...) {
				files = append(files, path.Join(filepath.ToSlash(dir), f))
			}
		}
		slices.Sort(files)
		return files, nil
	}
}

// processorInputs gives the files of the Rust program, and the script that builds it.
func processorInputs(_ context.Context, t Tree) ([]string, error) {
	files := []string{"rust-processor/Cargo.lock", "rust-processor/Cargo.toml"}
	err := filepath.WalkDir(filepath.Join(t.Root, "rust-processor", "src"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(t.Root, p)
		files = append(files, filepath.ToSlash(rel))
		return err
	})
	files = append(files, "scripts/processor")
	slices.Sort(files)
	return files, err
}

func fileInputs(files ...string) func(context.Context, Tree) ([]string, error) {
	return func(_ context.Context, t Tree) ([]string, error) {
		for _, f := range files {
			if _, err := os.Stat(filepath.Join(t.Root, f)); err != nil {
				return nil, err
			}
		}
		return files, nil
	}
}

// builderInputs gives this program's own files: another builder makes another image.
func builderInputs(t Tree) ([]string, error) {
	found, err := filepath.Glob(filepath.Join(t.Root, "images", "*.go"))
	if err != nil {
		return nil, err
	}
	files := []string{"images/go.mod", "images/go.sum"}
	for _, f := range found {
		if !strings.HasSuffix(f, "_test.go") {
			files = append(files, "images/"+filepath.Base(f))
		}
	}
	slices.Sort(files)
	return files, nil
}

// Inputs gives every file that an image is made of.
func (r Recipe) Inputs(ctx context.Context, t Tree) ([]string, error) {
	own, err := r.inputs(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("listing what the image %s is made of: %w", r.Name, err)
	}
	builder, err := builderInputs(t)
	return append(own, builder...), err
}
