package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// artifact is what this test reads of an entry of skaffold.yaml's build.artifacts.
type artifact struct {
	Image  string
	Docker struct{ Dockerfile string }
	Custom struct {
		BuildCommand string
		Dependencies struct{ Paths, Ignore []string }
	}
}

type buildSection struct{ Artifacts []artifact }

// artifacts gives those that need Docker and those that do not.
func artifacts(t *testing.T) (docker, noDocker []artifact) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(checkout(t).Root, "skaffold.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Build    buildSection
		Profiles []struct {
			Name  string
			Build buildSection
		}
	}
	if err := yaml.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, p := range file.Profiles {
		if p.Name == "no-docker" {
			return file.Build.Artifacts, p.Build.Artifacts
		}
	}
	t.Fatal("skaffold.yaml has no profile no-docker")
	return nil, nil
}

// What skaffold watches of an image is what the image is made of, file by file.
func TestSkaffoldWatchesWhatEachImageIsMadeOf(t *testing.T) {
	t.Parallel()
	tree := checkout(t)
	docker, noDocker := artifacts(t)
	for _, r := range catalog() {
		i := slices.IndexFunc(docker, func(a artifact) bool { return a.Image == "tallyman/"+r.Name })
		if r.Extra == (i >= 0) {
			t.Errorf("skaffold.yaml builds tallyman/%s with Docker: %t", r.Name, i >= 0)
		} else if i >= 0 && docker[i].Docker.Dockerfile != "images/"+r.Name+".Dockerfile" {
			t.Errorf("skaffold.yaml builds tallyman/%s by %s", r.Name, docker[i].Docker.Dockerfile)
		}
	}
	for _, a := range noDocker {
		name := strings.TrimPrefix(a.Image, "tallyman/")
		chosen, err := chosen([]string{name})
		if err != nil {
			t.Error(err)
			continue
		}
		how := "--push"
		if name == "processor" {
			how += " --quick"
		}
		if want := fmt.Sprintf(`go run -C images . %s --as "$IMAGE" --only %s`, how, name); a.Custom.BuildCommand != want {
			t.Errorf("skaffold.yaml builds %s by %q, want %q", a.Image, a.Custom.BuildCommand, want)
		}
		want, err := chosen[0].Inputs(t.Context(), tree)
		if err != nil {
			t.Fatal(err)
		}
		less, more := differ(watched(t, tree, a), want)
		if len(less)+len(more) > 0 {
			t.Errorf("dependencies of %s in skaffold.yaml: add %v, take away %v", a.Image, less, more)
		}
	}
}

// watched follows an artifact's patterns as skaffold does.
func watched(t *testing.T, tree Tree, a artifact) []string {
	t.Helper()
	if !slices.Equal(a.Custom.Dependencies.Ignore, []string{"**/*_test.go"}) {
		t.Errorf("%s ignores %v: a test is in no image, and nothing else is to be ignored", a.Image, a.Custom.Dependencies.Ignore)
	}
	var list []string
	for _, pattern := range a.Custom.Dependencies.Paths {
		found, err := filepath.Glob(filepath.Join(tree.Root, pattern))
		if err != nil || len(found) == 0 {
			t.Errorf("%s depends on %s, and there is none (%v)", a.Image, pattern, err)
		}
		for _, f := range found {
			list = append(list, walk(t, tree.Root, f)...)
		}
	}
	return list
}

// natsAddresses are several, as a NATS of three servers has them.
const natsAddresses = "tls://nats-0.example:4222,tls://nats-1.example:4222"

// skaffold runs the real one in a checkout, with a home of its own and a Helm that it finds.
func skaffold(t *testing.T, tree Tree, args ...string) string {
	t.Helper()
	out, err := skaffoldOutput(t, tree, args...)
	if err != nil {
		t.Fatalf("skaffold %v: %v\n%s", args, err, out)
	}
	return out
}

func skaffoldOutput(t *testing.T, tree Tree, args ...string) (string, error) {
	t.Helper()
	program, helm := tool(t, "skaffold"), tool(t, "helm3")
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("global:\n  collect-metrics: false\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = tree.Root
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(helm)+":"+os.Getenv("PATH"), "SKAFFOLD_UPDATE_CHECK=false",
		"SKAFFOLD_INTERACTIVE=false", "SKAFFOLD_CONFIG="+config,
		"SKAFFOLD_CACHE_FILE="+filepath.Join(t.TempDir(), "cache"), "KUBECONFIG="+filepath.Join(t.TempDir(), "none"),
		"AWS_REGION=eu-central-1", "TALLYMAN_NATS_URL="+natsAddresses,
		"TALLYMAN_QUEUE_URL=https://sqs.eu-central-1.amazonaws.com/111122223333/jobs",
		"TALLYMAN_DEAD_LETTER_URL=https://sqs.eu-central-1.amazonaws.com/111122223333/jobs-dead")
	var fault strings.Builder
	cmd.Stderr = &fault
	out, err := cmd.Output()
	if err != nil {
		return fault.String() + string(out), err
	}
	return string(out), nil
}

// tool gives the path of a pinned tool, which is built into the cache where it is not there yet.
func tool(t *testing.T, name string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "test/cluster/tool", name)
	cmd.Dir = checkout(t).Root
	cmd.Stderr = os.Stderr // it says that a build of minutes has begun
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("test/cluster/tool %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

var profiles = []string{"", "no-docker", "aws"}

func TestSkaffoldReadsEachProfile(t *testing.T) {
	t.Parallel()
	for _, p := range profiles {
		if out := skaffold(t, checkout(t), "diagnose", "--yaml-only", "--profile="+p); !strings.Contains(out, "tallyman-api") {
			t.Errorf("with the profile %q it forwards no port of the api:\n%s", p, out)
		}
	}
	if out, err := skaffoldOutput(t, checkout(t), "diagnose", "--yaml-only", "--profile=nonsense"); err == nil {
		t.Errorf("a profile that is not there was read: %s", out)
	}
}

// One line edited, and the real skaffold says which images it would build.
func TestSkaffoldBuildsOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	tree := otherTree(t, checkout(t))
	tags := func() map[string]string {
		file := filepath.Join(t.TempDir(), "tags.json")
		skaffold(t, tree, "build", "--dry-run", "--profile=no-docker", "--default-repo=registry.example/p", "--file-output="+file)
		return built(t, file)
	}
	before := tags()
	table := []struct {
		file string
		want []string
	}{
		{"rust-processor/src/claim.rs", []string{"processor"}},
		{"api/job.go", []string{"api"}},
		{"api/page/page.css", []string{"api"}},
		{"api/job_test.go", nil},
		{"bridge/doc.go", []string{"bridge"}},
		{"aggregator/doc.go", []string{"aggregator", "api", "scheduler"}},
		{"docs/images.md", nil},
		{"charts/tallyman/values.yaml", nil},
		{"contract/doc.go", []string{"aggregator", "api", "bridge", "scheduler", "tallyman"}},
	}
	for _, c := range table {
		at := filepath.Join(tree.Root, c.file)
		was, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, append(slices.Clone(was), "\n// one more line\n"...), 0o644); err != nil {
			t.Fatal(err)
		}
		var changed []string
		for image, tag := range tags() {
			if tag != before[image] {
				changed = append(changed, strings.TrimPrefix(image, "tallyman/"))
			}
		}
		slices.Sort(changed)
		if !slices.Equal(changed, c.want) {
			t.Errorf("a line in %s builds %v, want %v", c.file, changed, c.want)
		}
		if err := os.WriteFile(at, was, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// built reads what skaffold writes of its builds: the full tag of each image.
func built(t *testing.T, file string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Builds []struct{ ImageName, Tag string }
	}
	if err := json.Unmarshal(b, &said); err != nil || len(said.Builds) == 0 {
		t.Fatalf("skaffold wrote %s (%v)", b, err)
	}
	tags := make(map[string]string)
	for _, one := range said.Builds {
		tags[one.ImageName] = one.Tag
	}
	return tags
}

// Without a Docker on the machine, skaffold builds an image, and the registry has it.
func TestSkaffoldBuildsWithoutDocker(t *testing.T) {
	t.Parallel()
	host := newRegistry(t)
	file := filepath.Join(t.TempDir(), "tags.json")
	skaffold(t, checkout(t), "build", "--profile=no-docker", "--build-image=tallyman/aggregator", "--default-repo="+host+"/p",
		"--file-output="+file)
	ref := built(t, file)["tallyman/aggregator"]
	if !strings.HasPrefix(ref, host+"/p/") || strings.Contains(ref, ":latest") {
		t.Fatalf("it was built as %q", ref)
	}
	recipe, err := chosen([]string{"aggregator"})
	if err != nil {
		t.Fatal(err)
	}
	checkFiles(t, recipe[0], pull(t, ref), unreleased)
}

var imageLine = regexp.MustCompile(`(?m)^\s*(?:- )?image: "?([^"\s]+)"?$`)

// What is deployed are the images that were built, each where it belongs, by tag and digest.
func TestSkaffoldDeploysWhatItBuilt(t *testing.T) {
	t.Parallel()
	digest := "@sha256:" + strings.Repeat("0123456789abcdef", 4)
	for _, profile := range profiles {
		var said struct {
			Builds []map[string]string `json:"builds"`
		}
		var want []string
		for _, r := range catalog() {
			bundled := r.Name == "nats-server" && profile == "no-docker"
			if r.Extra && !bundled {
				continue
			}
			tag := "registry.example:5000/p/tallyman_" + r.Name + ":tag-of-" + r.Name + digest
			said.Builds = append(said.Builds, map[string]string{"imageName": "tallyman/" + r.Name, "tag": tag})
			want = append(want, tag)
		}
		b, err := json.Marshal(said)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "tags.json")
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
		out := skaffold(t, checkout(t), "render", "--offline=true", "--digest-source=none", "--profile="+profile, "--build-artifacts="+file)
		checkDeployed(t, profile, out, want)
	}
}

func checkDeployed(t *testing.T, profile, manifests string, want []string) {
	t.Helper()
	got := make(map[string]bool)
	for _, m := range imageLine.FindAllStringSubmatch(manifests, -1) {
		got[m[1]] = true
	}
	for _, tag := range want {
		if strings.Contains(tag, "tallyman_tallyman:") && profile == "aws" {
			continue // there the command serves nothing
		}
		if !got[tag] {
			t.Errorf("profile %q: nothing runs %s; there are %v", profile, tag, got)
		}
		delete(got, tag)
	}
	if profile == "" {
		for image := range got {
			if strings.HasPrefix(image, "nats:") {
				delete(got, image) // the public one, for those who can pull it
			}
		}
	}
	delete(got, want[slices.IndexFunc(want, func(s string) bool { return strings.Contains(s, "tallyman_tallyman:") })])
	if len(got) > 0 {
		t.Errorf("profile %q deploys %v, which skaffold did not build", profile, got)
	}
	if theirs := strings.Contains(manifests, "value: "+natsAddresses+"\n"); theirs != (profile == "aws") {
		t.Errorf("profile %q speaks to %s: %t", profile, natsAddresses, theirs)
	}
	if real := strings.Contains(manifests, "https://sqs.eu-central-1.amazonaws.com/111122223333/jobs"); real != (profile == "aws") {
		t.Errorf("profile %q speaks to AWS: %t", profile, real)
	}
}
