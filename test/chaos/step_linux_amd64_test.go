package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A program's clock is off by what it was stepped by, while it runs and in its next life.
func TestAClockIsStepped(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir()}
	p := &process{t: t, name: "clock", args: []string{self}, env: []string{partVariable + `={"Name":"clock"}`}, log: filepath.Join(w.dir, "log")}
	t.Cleanup(func() { p.end(true) })
	p.start()
	off := func(want time.Duration) {
		w.await(fmt.Sprint("a clock that is off by ", want), func() error {
			p.order(func(*orders) {})
			b, err := os.ReadFile(p.log)
			if err != nil {
				return err
			}
			lines := strings.Fields(string(b))
			if len(lines) == 0 {
				return fmt.Errorf("it has said nothing")
			}
			ms, err := strconv.ParseInt(lines[len(lines)-1], 10, 64)
			if is := time.Until(time.UnixMilli(ms)); err == nil && (is-want).Abs() > 500*time.Millisecond {
				err = fmt.Errorf("it is off by %s", is)
			}
			return err
		})
	}
	off(0)
	p.step(-3 * time.Second)
	off(-3 * time.Second)
	p.step(8 * time.Second)
	off(5 * time.Second)
	p.kill()
	p.start()
	off(5 * time.Second)
}
