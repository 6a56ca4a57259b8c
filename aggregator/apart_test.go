package aggregator

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"tallyman/contract"
	"tallyman/internal/natslocal"
	"tallyman/internal/program"
	"tallyman/internal/stream"
)

// envApart makes this test binary a NATS server on a folder, until its standard input ends. A benchmark
// measures beside it as on a cluster: a server in the same process, with a million ids of messages in
// memory, would make the measured garbage collection ten times what it is.
const envApart = "TALLYMAN_TEST_NATS"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envApart); dir != "" {
		if err := serveApart(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	debug.SetGCPercent(program.CollectAt) // as the program does
	os.Exit(m.Run())
}

func serveApart(dir string) error {
	s, err := natslocal.Start(natslocal.Options{Addr: "127.0.0.1:0", Dir: dir})
	if err != nil {
		return err
	}
	defer s.Stop()
	fmt.Println(s.URL())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// newWorldApart is a world whose NATS has a process of its own.
func newWorldApart(b *testing.B) *world {
	b.Helper()
	w := &world{t: b, dir: b.TempDir(), settings: stream.DefaultSettings(), log: slog.New(slog.DiscardHandler)}
	w.serveApart()
	b.Cleanup(func() { w.endApart() })
	return w
}

// serveApart starts the server and connects to it.
func (w *world) serveApart() {
	w.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), envApart+"="+w.dir), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		w.t.Fatal(err)
	}
	w.apart = strings.TrimSpace(line)
	if w.stream, err = stream.Connect(context.Background(), stream.Options{URL: w.apart, Name: "bench", Log: w.log}); err != nil {
		w.t.Fatal(err)
	}
	w.endApart = func() {
		w.stream.Close()
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			w.t.Error(err)
		}
	}
	w.ensure()
}

// emptyApart starts the server again without the bucket, as it was before anything was folded.
func (w *world) emptyApart() {
	w.t.Helper()
	w.endApart()
	if err := os.RemoveAll(filepath.Join(w.dir, "jetstream", "$G", "streams", contract.BucketStream(contract.BucketJobs))); err != nil {
		w.t.Fatal(err)
	}
	w.serveApart()
}
