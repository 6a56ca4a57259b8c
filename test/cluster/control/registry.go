package control

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Registry is where images are pushed to inside. Being on localhost, every client speaks plain HTTP to it.
const Registry = "localhost:5000"

// serveRegistry serves images from a folder, so from the enclosure's memory.
func (c *Control) serveRegistry() error {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", Registry)
	if err != nil {
		return fmt.Errorf("registry: %w", err)
	}
	handler := registry.New(
		registry.WithBlobHandler(registry.NewDiskBlobHandler(filepath.Join(c.home, "registry"))),
		registry.Logger(log.New(io.Discard, "", 0)),
	)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); err != nil {
			slog.Error("the registry has ended", "error", err)
		}
	}()
	return nil
}

// PushProgram pushes an image of one static program, which is its entrypoint: PushProgram(ctx, "pause:1", file, "/pause").
func PushProgram(ctx context.Context, image, file, place string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("program of image %s: %w", image, err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return archive(place, b) })
	if err != nil {
		return err
	}
	built, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		return err
	}
	config, err := built.ConfigFile()
	if err != nil {
		return err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{place}
	config.Config.User = "65532:65532"
	if built, err = mutate.ConfigFile(built, config); err != nil {
		return err
	}
	return PushImage(ctx, image, built)
}

// PushImage pushes an image under a name without a registry.
func PushImage(ctx context.Context, image string, built v1.Image) error {
	ref, err := name.ParseReference(path.Join(Registry, image))
	if err != nil {
		return err
	}
	if err := remote.Write(ref, built, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("pushing %s: %w", ref, err)
	}
	return nil
}

// PushVariant pushes the image of a reference under another name; a label makes it another image, of another digest.
func PushVariant(ctx context.Context, reference, image string) (digest string, err error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return "", err
	}
	built, err := remote.Image(ref, remote.WithContext(ctx))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", ref, err)
	}
	config, err := built.ConfigFile()
	if err != nil {
		return "", err
	}
	config = config.DeepCopy()
	if config.Config.Labels == nil {
		config.Config.Labels = map[string]string{}
	}
	config.Config.Labels["variant"] = image
	if built, err = mutate.ConfigFile(built, config); err != nil {
		return "", err
	}
	hash, err := built.Digest()
	if err != nil {
		return "", err
	}
	return hash.String(), PushImage(ctx, image, built)
}

// archive is a layer with one file, readable by everybody, without a time: the same program is the same image.
func archive(place string, content []byte) (io.ReadCloser, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	header := &tar.Header{Name: strings.TrimPrefix(place, "/"), Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	return io.NopCloser(&out), w.Close()
}
