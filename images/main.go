package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// limit is for everything together: a cold build of the processor takes minutes, one that takes an hour hangs.
const limit = time.Hour

// Options are the command line.
type Options struct {
	Root     string
	Only     []string
	Registry string
	As       string
	Push     bool
	Quick    bool
	Insecure bool
	Tar      string
	Out      string
	Inputs   bool
	Origin   Origin
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	o, err := parse(args, getenv, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "images:", err)
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := o.build(ctx, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "images:", err)
		return 1
	}
	return 0
}

func parse(args []string, getenv func(string) string, stderr io.Writer) (Options, error) {
	var o Options
	var only string
	f := flag.NewFlagSet("images", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.Root, "root", "", "the checkout; the one around the working directory without")
	f.StringVar(&only, "only", "", "names with commas between them, or `all`: "+strings.Join(allNames(), ", "))
	f.StringVar(&o.Registry, "registry", "", "where the images go, as host:port/prefix (tallyman for archives)")
	f.StringVar(&o.As, "as", "", "the whole reference of the one image, in the place of --registry and a tag from its content")
	f.BoolVar(&o.Push, "push", false, "push to the registry")
	f.BoolVar(&o.Quick, "quick", false, "build the processor in seconds, larger and slower, for skaffold dev; never for a release")
	f.BoolVar(&o.Insecure, "insecure", false, "the registry speaks HTTP; known by itself of loopback and private addresses")
	f.StringVar(&o.Tar, "tar", "", "write archives for `docker load` and `ctr images import` into this folder")
	f.StringVar(&o.Out, "out", "", "write the references to this file: as values of the chart where it ends with .yaml, else as the JSON that is printed, too")
	f.BoolVar(&o.Inputs, "inputs", false, "build nothing; print the files that each image is made of")
	f.StringVar(&o.Origin.Version, "version", "", "what is released, which is pushed under this tag too; 0.0.0-dev without")
	f.StringVar(&o.Origin.Source, "source", "https://tallyman.dev", "where the source is")
	f.StringVar(&o.Origin.Revision, "revision", "", "the commit; the last that changed what the image is made of without")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if only != "" {
		o.Only = strings.Split(only, ",")
	}
	return o.validate(f.Args(), getenv)
}

// validate completes the options and reports every fault in one message.
func (o Options) validate(rest []string, getenv func(string) string) (Options, error) {
	var faults []string
	if len(rest) > 0 {
		faults = append(faults, fmt.Sprintf("%s: there are only flags", strings.Join(rest, " ")))
	}
	if _, err := chosen(o.Only); err != nil {
		faults = append(faults, err.Error())
	}
	switch {
	case o.Inputs:
	case o.Push == (o.Tar != ""):
		faults = append(faults, "want one of --push (make images REGISTRY=host/prefix) and --tar (make images TAR=folder)")
	case o.Push && o.Registry == "" && o.As == "":
		faults = append(faults, "--push needs --registry host/prefix")
	}
	if o.As != "" && (o.Registry != "" || len(o.Only) != 1 || o.Only[0] == "all") {
		faults = append(faults, "--as names one image: it goes with one --only, and without --registry")
	}
	if o.As != "" && getenv("PUSH_IMAGE") == "false" {
		faults = append(faults, "skaffold wants the image in a Docker daemon: set build.local.push, as the profile no-docker does")
	}
	if o.Inputs && o.forTheChart() {
		faults = append(faults, "--inputs builds nothing, so there are no values for the chart: name --out with .json")
	}
	if o.Quick && o.Origin.Version != "" {
		faults = append(faults, "--quick is for a developer's loop, and a release has a --version: take one away")
	}
	if o.Registry == "" {
		o.Registry = "tallyman"
	}
	var err error
	if o.Origin.Created, err = epoch(getenv("SOURCE_DATE_EPOCH")); err != nil {
		faults = append(faults, err.Error())
	}
	if o.Root, err = findRoot(o.Root); err != nil {
		faults = append(faults, err.Error())
	}
	if len(faults) > 0 {
		return o, fmt.Errorf("%s", strings.Join(faults, "; "))
	}
	return o, nil
}

// build makes the images one after the other (the compilers fill the machine by themselves) and says what they are.
func (o Options) build(ctx context.Context, stdout, stderr io.Writer) error {
	recipes, err := chosen(o.Only)
	if err != nil {
		return err
	}
	tree := Tree{Root: o.Root, Quick: o.Quick}
	said := make(map[string]any)
	for _, r := range recipes {
		if o.Inputs {
			if said[r.Name], err = r.Inputs(ctx, tree); err != nil {
				return err
			}
			continue
		}
		began := time.Now()
		image, err := r.Build(ctx, tree, o.Origin)
		if err != nil {
			return err
		}
		tag, err := o.ship(ctx, r, image)
		if err != nil {
			return err
		}
		digest, err := image.Digest()
		if err != nil {
			return err
		}
		said[r.Name] = tag.String() + "@" + digest.String()
		fmt.Fprintf(stderr, "images: %s in %.1f s\n", tag, time.Since(began).Seconds())
	}
	return o.say(said, stdout)
}

func (o Options) ship(ctx context.Context, r Recipe, image v1.Image) (name.Tag, error) {
	tag, err := reference(o, r, image)
	if err != nil {
		return tag, err
	}
	if o.Push {
		return tag, o.push(ctx, tag, image)
	}
	if err := os.MkdirAll(o.Tar, 0o755); err != nil {
		return tag, err
	}
	return tag, archive(filepath.Join(o.Tar, r.Name+".tar"), tag, image)
}

func (o Options) say(what map[string]any, stdout io.Writer) error {
	b, err := json.MarshalIndent(what, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if o.Out != "" {
		written := b
		if o.forTheChart() {
			written = chartValues(what, o.Push)
		}
		if err := os.WriteFile(o.Out, written, 0o644); err != nil {
			return err
		}
	}
	_, err = stdout.Write(b)
	return err
}

// forTheChart tells whether --out is a file of values.
func (o Options) forTheChart() bool { return filepath.Ext(o.Out) == ".yaml" }
