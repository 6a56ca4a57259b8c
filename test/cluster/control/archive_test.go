package control

import (
	"archive/tar"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
)

func TestNamesOfAnImage(t *testing.T) {
	if got := shortName("localhost:5000/tallyman/api:abc@sha256:def"); got != "api" {
		t.Errorf("the short name is %q", got)
	}
	tag, err := name.NewTag("docker.io/tallyman/nats-server:abc")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"tallyman/nats-server:abc", "tallyman/nats-server:" + releaseTag, publicNATS}
	got := alsoAs(tag)
	if len(got) != len(want) {
		t.Fatalf("it is pushed as %v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("it is pushed as %v, not %v", got, want)
		}
	}
}

func TestNoNameInAnArchiveLeadsOutOfItsFolder(t *testing.T) {
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "bad.tar"))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(file)
	if err := w.WriteHeader(&tar.Header{Name: "../escaped", Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(dir, "inner")
	if err := os.Mkdir(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unpack(file.Name(), inner); err == nil {
		t.Error("it was unpacked")
	}
	if _, err := os.Stat(filepath.Join(dir, "escaped")); err == nil {
		t.Error("a file was written outside")
	}
}
