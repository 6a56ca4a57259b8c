package chaos

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// The programs are those that users get, so nothing in them can put their clocks wrong. The kernel gives each
// process a page of code by which it reads the clock, the vDSO; before the first instruction of a program that
// page, in this process alone, gets another clock_gettime: the kernel's time, and some seconds that stand behind
// it in the same page. Whoever writes those steps the clock, as ntpd or a virtual machine that was moved does.

// stepped is clock_gettime by the system call; CLOCK_REALTIME is off by the quadword at stepAt.
var stepped = []byte{
	0xb8, 228, 0, 0, 0, // mov  eax, SYS_clock_gettime
	0x0f, 0x05, // syscall
	0x85, 0xff, // test edi, edi: CLOCK_REALTIME is 0
	0x75, 14, // jne  ret
	0x85, 0xc0, // test eax, eax: it may fail
	0x75, 10, // jne  ret
	0x48, 0x8b, 0x0d, 10, 0, 0, 0, // mov  rcx, [rip+10]
	0x48, 0x01, 0x0e, // add  [rsi], rcx: the seconds
	0xc3,             // ret
	0, 0, 0, 0, 0, 0, // up to a multiple of 8
	0, 0, 0, 0, 0, 0, 0, 0, // the seconds
}

const stepAt = 32

// startStepped starts a program with a clock that can be stepped, and gives the address of its seconds. Only the
// operating system thread that calls it may trace the child, which it does until the page is written.
func startStepped(cmd *exec.Cmd, by time.Duration) (seconds int64, err error) {
	cmd.SysProcAttr.Ptrace = true
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	pid := cmd.Process.Pid
	defer func() { err = errors.Join(err, syscall.PtraceDetach(pid)) }()
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &status, 0, nil); err != nil || !status.Stopped() {
		return 0, fmt.Errorf("wait for process %d to begin: %w (status %#x)", pid, err, status)
	}
	entry, err := findClock(pid)
	if err != nil {
		return 0, fmt.Errorf("the clock of process %d: %w", pid, err)
	}
	// The seconds must be aligned, so that a step is one write to whoever reads; nops lead to what stands there.
	nops := (8 - entry%8) % 8
	if err := poke(pid, entry, append(bytes.Repeat([]byte{0x90}, int(nops)), stepped...)); err != nil {
		return 0, err
	}
	seconds = entry + nops + stepAt
	return seconds, step(pid, seconds, by)
}

// step puts a clock off the kernel's.
func step(pid int, seconds int64, by time.Duration) error {
	return poke(pid, seconds, binary.LittleEndian.AppendUint64(nil, uint64(by/time.Second)))
}

// findClock finds clock_gettime in the vDSO of a process.
func findClock(pid int) (int64, error) {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.Contains(line, "[vdso]") {
			continue
		}
		var from, to int64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			return 0, err
		}
		page, err := peek(pid, from, to-from)
		if err != nil {
			return 0, err
		}
		f, err := elf.NewFile(bytes.NewReader(page))
		if err != nil {
			return 0, err
		}
		symbols, err := f.DynamicSymbols()
		if err != nil {
			return 0, err
		}
		for _, s := range symbols {
			if s.Name == "__vdso_clock_gettime" && s.Size >= uint64(len(stepped)+8) {
				return from + int64(s.Value), nil
			}
		}
	}
	return 0, errors.New("it has no vDSO with a clock_gettime")
}

func peek(pid int, at, n int64) ([]byte, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n)
	_, err = f.ReadAt(b, at)
	return b, err
}

func poke(pid int, at int64, b []byte) error {
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(b, at)
	return err
}
