package contract

import (
	"errors"
	"fmt"
	"testing"
)

func TestCodeOf(t *testing.T) {
	t.Parallel()
	fault := Errorf(CodeTooDeep, "payload", "nested deeper than %d", 5)
	for _, c := range []struct {
		err  error
		want Code
	}{
		{nil, ""},
		{errors.New("other"), CodeInternal},
		{fault, CodeTooDeep},
		{fmt.Errorf("read: %w", fault), CodeTooDeep},
		{errors.Join(errors.New("other"), fault), CodeTooDeep},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]*Error{
		"too_deep: payload: nested deeper than 5": Errorf(CodeTooDeep, "payload", "nested deeper than %d", 5),
		"malformed: not UTF-8":                    Errorf(CodeMalformed, "", "not UTF-8"),
	} {
		if e.Error() != want {
			t.Errorf("%q, want %q", e.Error(), want)
		}
	}
}
