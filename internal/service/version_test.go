package service

import (
	"regexp"
	"testing"
)

var versionForm = regexp.MustCompile(`^0\.0\.0-dev(\.[0-9a-f]{12})?\+[a-z0-9]+\.[0-9a-f]{12}$`)

func TestVersionSaysWhichBuildThisIs(t *testing.T) {
	t.Parallel()
	v := Version()
	if !versionForm.MatchString(v) || v != Version() {
		t.Errorf("%q", v)
	}
	if release, machine, program := SplitVersion("1.2.3+amd64.4f0c22a9b1de"); release != "1.2.3" || machine != "amd64" || program != "4f0c22a9b1de" {
		t.Errorf("%q %q %q", release, machine, program)
	}
	if release, machine, program := SplitVersion("(devel)"); release != "(devel)" || machine+program != "" {
		t.Errorf("%q %q %q", release, machine, program)
	}
}
