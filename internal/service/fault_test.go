package service_test

import (
	"errors"
	"testing"

	"tallyman/internal/service"
)

func TestAFaultIsNamedOnceForEachChange(t *testing.T) {
	t.Parallel()
	var f service.Fault
	for i, step := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("dial 127.0.0.1:40001: refused"), true},
		{errors.New("dial 127.0.0.1:40002: refused"), false},
		{errors.New("not authorized"), true},
		{nil, true},
		{nil, false},
		{errors.New("not authorized"), true},
	} {
		if got := f.Changed(step.err); got != step.want {
			t.Errorf("step %d, %v: changed %v, want %v", i, step.err, got, step.want)
		}
	}
}
