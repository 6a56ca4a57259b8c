package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tallyman/contract"
)

var (
	block  = regexp.MustCompile("(?ms)^```(?:sh)?\n(.*?)^```")
	typed  = regexp.MustCompile(`^(?:[a-z][a-z/-]* |[A-Z]+=\$\()`) // a block of commands, and not what something printed
	quoted = regexp.MustCompile(`'[^'\n]*'| # .*`)                 // and what is remarked
	word   = regexp.MustCompile(`(?m)(?:^|[|;&(] ?)([a-z][a-z0-9/-]*)(?:[ \n]|$)`)
)

// What every Unix has, what is ours, and what builds Tallyman, of which `make` and the scripts say themselves that it is missing.
const notLookedFor = " alias base64 cat do done env for grep sed sort tail test uniq bin/tallyman tallyman make docker git skaffold sudo "

// `doctor --tools` looks for every program that somebody types who follows the guides, and for no other.
func TestTheDoctorLooksForWhatTheGuidesUse(t *testing.T) {
	t.Parallel()
	guides, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(guides) == 0 {
		t.Fatalf("%d guides, %v", len(guides), err)
	}
	used := make(map[string]string)
	for _, guide := range append(guides, "../../README.md") {
		b, err := os.ReadFile(guide)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatch(string(b), -1) {
			if !typed.MatchString(m[1]) {
				continue
			}
			for _, w := range word.FindAllStringSubmatch(quoted.ReplaceAllString(m[1], "''"), -1) {
				used[w[1]] = guide
			}
		}
	}
	for _, tool := range guideTools {
		if used[tool.name] == "" {
			t.Errorf("the doctor looks for %s, and no guide uses it", tool.name)
		}
		delete(used, tool.name)
	}
	for name, guide := range used {
		if !strings.Contains(notLookedFor, " "+name+" ") {
			t.Errorf("%s uses %s, and the doctor does not look for it", guide, name)
		}
	}
}

// Credentials are found wherever AWS's clients find them, and never shown.
func TestTheDoctorLooksForAWSCredentials(t *testing.T) {
	const secret = "not to be shown"
	home := t.TempDir()
	names := []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE",
	}
	for _, name := range names {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", home)
	line := func() (string, bool) {
		t.Helper()
		lines := thisMachine().Lines
		l := lines[slices.IndexFunc(lines, func(l contract.CheckLine) bool { return l.Name == "AWS credentials" })]
		if strings.Contains(l.Says, secret) {
			t.Errorf("it shows a secret: %s", l.Says)
		}
		return l.Says, l.OK
	}
	if says, ok := line(); ok || !strings.Contains(says, "there are none: run `aws configure`") {
		t.Errorf("without any it says %q (%v)", says, ok)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", secret)
	if says, ok := line(); ok {
		t.Errorf("with half of a key it says %q", says)
	}
	t.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	if says, ok := line(); !ok || says != "from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" {
		t.Errorf("with a key it says %q (%v)", says, ok)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	file := filepath.Join(home, ".aws", "credentials")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if says, ok := line(); !ok || says != "from "+file {
		t.Errorf("with a file it says %q (%v)", says, ok)
	}
}
