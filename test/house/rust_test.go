package house

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// What builds the processor is one version, wherever it is named: else an image is other bytes than the tests ran.
func TestOneRustBuildsTheProcessor(t *testing.T) {
	t.Parallel()
	named := func(name, pattern string) string {
		b, err := os.ReadFile(at(name))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindStringSubmatch(string(b))
		if found == nil {
			t.Fatalf("%s names no Rust by %s", name, pattern)
		}
		return found[1]
	}
	pinned := named("rust-processor/rust-toolchain.toml", `(?m)^channel = "(\d+\.\d+\.\d+)"$`)
	if image := named("images/processor.Dockerfile", `(?m)^FROM rust:([\d.]+)-`); image != pinned {
		t.Errorf("images/processor.Dockerfile builds with Rust %s, rust-processor/rust-toolchain.toml with %s", image, pinned)
	}
	for _, name := range []string{"rust-processor/Cargo.toml", "rust-processor/fuzz/Cargo.toml"} {
		if least := named(name, `(?m)^rust-version = "([\d.]+)"$`); !strings.HasPrefix(pinned, least+".") {
			t.Errorf("%s asks for Rust %s, rust-processor/rust-toolchain.toml for %s", name, least, pinned)
		}
	}
}

// One provider of cryptography: a second would come in by some dependency's default features, unseen.
func TestTheProcessorHasOneCryptography(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(at("rust-processor/Cargo.lock"))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^name = "(ring|aws-lc-rs|aws-lc-sys|openssl|openssl-sys|boring|boring-sys|rustls-rustcrypto|graviola)"$`).FindAllStringSubmatch(string(b), -1)
	if len(found) != 1 || found[0][1] != "ring" {
		t.Errorf("rust-processor/Cargo.lock has %v, want ring alone", found)
	}
}
