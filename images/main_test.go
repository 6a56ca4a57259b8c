package main

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func TestFaultsAreNamedTogether(t *testing.T) {
	t.Parallel()
	table := []struct {
		name string
		env  map[string]string
		args []string
		want []string
	}{
		{"nothing said", nil, nil, []string{"one of --push (make images REGISTRY=host/prefix) and --tar"}},
		{"both", nil, []string{"--push", "--registry", "h:1/p", "--tar", "x"}, []string{"one of --push"}},
		{"no registry", nil, []string{"--push"}, []string{"--push needs --registry"}},
		{"no such image", nil, []string{"--tar", "x", "--only", "api,nginx"}, []string{"--only nginx: no such image; there are api, "}},
		{"as, for two", nil, []string{"--push", "--as", "h:1/p/a:b", "--only", "api,bridge"}, []string{"--as names one image"}},
		{"as, for all", nil, []string{"--push", "--as", "h:1/p/a:b", "--only", "all"}, []string{"--as names one image"}},
		{"skaffold without a push", map[string]string{"PUSH_IMAGE": "false"}, []string{"--push", "--as", "h:1/p/a:b", "--only", "api"}, []string{"build.local.push"}},
		{"arguments", nil, []string{"--tar", "x", "api"}, []string{"api: there are only flags"}},
		{"epoch", map[string]string{"SOURCE_DATE_EPOCH": "today"}, []string{"--tar", "x"}, []string{"SOURCE_DATE_EPOCH=today: want seconds"}},
		{"values of nothing", nil, []string{"--inputs", "--out", "x.yaml"}, []string{"--inputs builds nothing, so there are no values"}},
		{"elsewhere", nil, []string{"--tar", "x", "--root", "/"}, []string{"no checkout of tallyman at /"}},
		{"three at once", nil, []string{"--only", "x", "--root", "/"}, []string{"--only x", "one of --push", "no checkout"}},
	}
	for _, c := range table {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, out, fault := command(t, c.env, c.args...)
			if code != 2 || out != "" || strings.Count(fault, "\n") != 1 {
				t.Errorf("it ended with %d, printed %q and said %q: want 2, nothing, and one line", code, out, fault)
			}
			for _, want := range c.want {
				if !strings.Contains(fault, want) {
					t.Errorf("it said %q, without %q", fault, want)
				}
			}
		})
	}
}

func TestARegistryThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	// Port 1 of the loopback: nobody listens there, and the kernel says so at once.
	code, _, fault := command(t, nil, "--push", "--registry", "127.0.0.1:1/p", "--only", "own-image")
	if code != 1 || !strings.Contains(fault, "pushing 127.0.0.1:1/p/own-image:") || !strings.Contains(fault, "is the registry there") {
		t.Errorf("it ended with %d and said %q", code, fault)
	}
}

// skaffold says the whole reference; the digest is still the content's.
func TestAnImageUnderAGivenName(t *testing.T) {
	t.Parallel()
	ref := newRegistry(t) + "/tallyman_own-image:some-tag"
	refs := build(t, map[string]string{"PUSH_IMAGE": "true"}, "--push", "--as", ref, "--only", "own-image")
	if !strings.HasPrefix(refs["own-image"], ref+"@sha256:") {
		t.Fatalf("%s was pushed as %s", ref, refs["own-image"])
	}
	pull(t, refs["own-image"])
}

// A release is found by its version, which is what the chart's appVersion asks for.
func TestAReleaseHasItsVersionAsATag(t *testing.T) {
	t.Parallel()
	host := newRegistry(t)
	refs := build(t, nil, "--push", "--registry", host+"/p", "--only", "own-image", "--version", "1.2.3")
	_, digest, _ := strings.Cut(refs["own-image"], "@")
	tag, err := name.NewTag(host + "/p/own-image:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if d, err := remote.Head(tag, remote.WithContext(t.Context())); err != nil || d.Digest.String() != digest {
		t.Errorf("under 1.2.3 lies %v (%v), want %s", d, err, digest)
	}
}

// Nodes that have a release's image never ask for it again, so its tag stays what it is.
func TestAReleaseThatIsThereStays(t *testing.T) {
	t.Parallel()
	host := newRegistry(t)
	tag, err := name.NewTag(host + "/p/own-image:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, empty.Image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	push := []string{"--push", "--registry", host + "/p", "--only", "own-image", "--version"}
	code, _, fault := command(t, nil, append(push, "1.2.3")...)
	if code != 1 || !strings.Contains(fault, "own-image:1.2.3 is another image already") || !strings.Contains(fault, "another version") {
		t.Errorf("it ended with %d and said %q", code, fault)
	}
	want, err := empty.Image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if d, err := remote.Head(tag, remote.WithContext(t.Context())); err != nil || d.Digest != want {
		t.Errorf("under 1.2.3 lies %v (%v), want %s", d, err, want)
	}
	first, again := build(t, nil, append(push, "1.2.4")...), build(t, nil, append(push, "1.2.4")...)
	if !maps.Equal(first, again) {
		t.Errorf("pushed twice, it is %v and then %v", first, again)
	}
}

// An archive is two things at once: Docker's, and the OCI's with the digest that a registry would have.
func TestAnArchiveIsForDockerAndForContainerd(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "folder")
	refs := build(t, nil, "--tar", dir, "--only", "own-image")
	file := filepath.Join(dir, "own-image.tar")
	image, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil || config.Config.User != user {
		t.Fatalf("what Docker would load has the configuration %v (%v)", config, err)
	}
	layout := unarchive(t, file)
	var index v1.IndexManifest
	if err := json.Unmarshal(layout["index.json"], &index); err != nil {
		t.Fatal(err)
	}
	d := index.Manifests[0]
	tag, digest, _ := strings.Cut(refs["own-image"], "@")
	if d.Digest.String() != digest || d.Annotations["io.containerd.image.name"] != "docker.io/"+tag {
		t.Errorf("containerd would import %s as %v, want %s", d.Digest, d.Annotations, refs["own-image"])
	}
	for name, body := range layout {
		hex, ok := strings.CutPrefix(name, "blobs/sha256/")
		if sum, _, err := v1.SHA256(strings.NewReader(string(body))); ok && (err != nil || sum.Hex != hex) {
			t.Errorf("%s holds %s (%v)", name, sum.Hex, err)
		}
	}
}

func unarchive(t *testing.T, file string) map[string][]byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	all := make(map[string][]byte)
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if all[h.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}
