package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	unknown    = "unknown"
	unreleased = "0.0.0-dev"
	licenses   = "NOASSERTION" // SPDX for: no statement is made here
)

// Origin says where an image comes from. It becomes labels, for `docker inspect`, and annotations, for registries.
type Origin struct {
	Source   string
	Version  string
	Revision string
	Created  time.Time
}

// origin completes what was given on the command line from git.
func (t Tree) origin(ctx context.Context, files []string, given Origin) (Origin, error) {
	o := given
	if o.Version == "" {
		o.Version = unreleased
	}
	if o.Revision == "" || o.Created.IsZero() {
		revision, when, err := t.lastChange(ctx, files)
		if err != nil {
			return o, err
		}
		if o.Revision == "" {
			o.Revision = revision
		}
		if o.Created.IsZero() {
			o.Created = when
		}
	}
	o.Created = o.Created.UTC()
	return o, nil
}

// lastChange gives the commit that last changed what an image is made of, and its time. The newest commit of all would
// be wrong: it makes a new image of the same program, and a rollout, for every comma in the documentation.
func (t Tree) lastChange(ctx context.Context, files []string) (string, time.Time, error) {
	if _, err := os.Stat(filepath.Join(t.Root, ".git")); err != nil {
		return unknown, time.Unix(0, 0), nil // an unpacked archive
	}
	specs := pathspecs(files)
	out, err := t.run(ctx, nil, "git", append([]string{"log", "-1", "--format=%H %ct", "--"}, specs...)...)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("asking git for the revision (or give --revision and SOURCE_DATE_EPOCH): %w", err)
	}
	hash, seconds, ok := strings.Cut(strings.TrimSpace(out), " ")
	if !ok {
		return unknown, time.Unix(0, 0), nil // nothing of it was ever committed
	}
	at, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("the time of commit %s: %w", hash, err)
	}
	changed, err := t.run(ctx, nil, "git", append([]string{"status", "--porcelain", "--"}, specs...)...)
	if err != nil {
		return "", time.Time{}, err
	}
	if changed != "" {
		hash += "-dirty"
	}
	return hash, time.Unix(at, 0), nil
}

// pathspecs widens files to their kind in their folder, so that a file that was taken away is a change too.
func pathspecs(files []string) []string {
	set := make(map[string]bool)
	for _, f := range files {
		if ext := path.Ext(f); ext != "" {
			f = path.Join(path.Dir(f), "*"+ext)
		}
		set[":(glob)"+f] = true
	}
	return append(slices.Sorted(maps.Keys(set)), ":(exclude,glob)**/*_test.go")
}

// epoch reads SOURCE_DATE_EPOCH, the reproducible builds' word for "as if it were then"; the zero time if it is not set.
func epoch(value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH=%s: want seconds since 1970", value)
	}
	return time.Unix(n, 0), nil
}

// labels are the OCI's pre-defined keys.
func (o Origin) labels(r Recipe) map[string]string {
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title":       "tallyman " + r.Name,
		prefix + "description": r.About,
		prefix + "source":      o.Source,
		prefix + "version":     o.Version,
		prefix + "revision":    o.Revision,
		prefix + "created":     o.Created.Format(time.RFC3339),
		prefix + "licenses":    licenses,
	}
}
