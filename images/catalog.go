package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// user runs every image. It has no name in the image: Kubernetes can prove that a number is not root, but not a name.
const user = "65532:65532"

// Recipe says what an image is made of.
type Recipe struct {
	Name    string
	About   string // one line, for its label
	Program string // where its program lies in the image
	Main    string // the Go package that it is built from; empty for what is not Go
	Cmd     []string
	Env     []string
	Dirs    []string          // empty folders that programs of its kind expect
	Files   map[string]string // further files, by their path in the image
	Extra   bool              // not shipped: made for the tests, and only when asked for by name

	compile func(ctx context.Context, tree Tree, out string) error
	inputs  func(ctx context.Context, tree Tree) ([]string, error)
}

// catalog lists every image, the shipped ones first.
func catalog() []Recipe {
	return []Recipe{
		goRecipe("api", "HTTP in, HTTP out"),
		goRecipe("scheduler", "time in, tasks out"),
		goRecipe("bridge", "Kubernetes in, events out"),
		goRecipe("aggregator", "events in, stats out"),
		goRecipe("tallyman", "the tallyman command"),
		{
			Name: "processor", About: "one task, then exit", Program: "/processor",
			compile: compileProcessor, inputs: processorInputs,
		},
		natsRecipe(),
		{
			Name: "own-image", About: "an example of a queue's own image, in C", Program: "/usr/local/bin/checksum", Extra: true,
			compile: compileC("examples/own-image/checksum.c"), inputs: fileInputs("examples/own-image/checksum.c"),
		},
	}
}

// goRecipe lays a Go program out as ko does, so that whoever knows ko's images knows these.
func goRecipe(name, about string) Recipe {
	r := Recipe{
		Name: name, About: about, Program: "/ko-app/" + name, Main: "tallyman/cmd/" + name,
		Env: []string{"KO_DATA_PATH=/var/run/ko"}, Dirs: []string{"/var/run/ko"},
	}
	r.compile, r.inputs = compileGo(r.Main), goInputs(r.Main)
	return r
}

// natsRecipe stands in for the public `nats` image where none can be pulled, and takes the same arguments.
func natsRecipe() Recipe {
	r := Recipe{
		Name: "nats-server", About: "NATS, for the cluster tests", Program: "/nats-server", Extra: true,
		Main:  "github.com/nats-io/nats-server/v2",
		Cmd:   []string{"--config", "/nats-server.conf"},
		Files: map[string]string{"/nats-server.conf": "port: 4222\nhttp_port: 8222\n"},
	}
	r.compile, r.inputs = compileGo(r.Main), goInputs(r.Main)
	return r
}

// chosen gives the recipes with these names, every shipped one for none, and all of them for "all".
func chosen(names []string) ([]Recipe, error) {
	known := catalog()
	if slices.Contains(names, "all") {
		return known, nil
	}
	if len(names) == 0 {
		return slices.DeleteFunc(known, func(r Recipe) bool { return r.Extra }), nil
	}
	var list []Recipe
	for _, name := range names {
		i := slices.IndexFunc(known, func(r Recipe) bool { return r.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("--only %s: no such image; there are %s", name, strings.Join(allNames(), ", "))
		}
		list = append(list, known[i])
	}
	return list, nil
}

func allNames() []string {
	var names []string
	for _, r := range catalog() {
		names = append(names, r.Name)
	}
	return names
}
