package api

import (
	"errors"
	"strings"
	"testing"

	"tallyman/contract"
)

func TestProblemOfUnknownErrorTellsNothing(t *testing.T) {
	t.Parallel()
	p, ours := problemOf(errors.New("secret of ours"))
	if !ours || p.Status != 500 || p.Code != contract.CodeInternal || strings.Contains(p.Detail, "secret") {
		t.Errorf("%+v", p)
	}
}
