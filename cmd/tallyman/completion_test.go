package main

import (
	"bytes"
	"strings"
	"testing"
)

// Who mistypes a shell or a command is told in one line what there is, and a script that asked hears of it.
func TestAnUnknownShellOrTopicIsRefused(t *testing.T) {
	t.Parallel()
	const all, some = "bash, zsh, fish, powershell", "cancel, completion, dev, doctor,"
	for args, part := range map[string]string{
		"completion":           "name one shell of " + all,
		"completion bash zsh":  "name one shell of " + all,
		"completion bsh":       `the shell "bsh"; there are ` + all,
		"completion Bash":      `the shell "Bash"; there are ` + all,
		"help nope":            `no help on "nope"; there is on ` + some,
		"help nope submit":     `no help on "nope submit"; there is on ` + some,
		"help webhooks nope":   `no help on "webhooks nope"; there is on replay`,
		"help get nope":        "no help on \"get nope\"; see `tallyman get --help`",
		"help completion bsh":  `no help on "completion bsh"`,
		"completion bash --no": "unknown flag: --no",
	} {
		var out, diag bytes.Buffer
		code := run(t.Context(), strings.Fields(args), nil, &out, &diag)
		if code != exitTrouble || out.Len() > 0 || strings.Count(diag.String(), "\n") != 1 || !strings.Contains(diag.String(), part) {
			t.Errorf("%s: %d %q %q, want %q", args, code, out.String(), diag.String(), part)
		}
	}
}

// What is known is printed on standard output, and nothing else anywhere.
func TestAKnownShellOrTopicIsPrinted(t *testing.T) {
	t.Parallel()
	for args, part := range map[string]string{
		"completion bash":                  "# bash completion V2 for tallyman",
		"completion zsh":                   "#compdef tallyman",
		"completion fish":                  "# fish completion for tallyman",
		"completion powershell":            "# powershell completion for tallyman",
		"completion zsh --no-descriptions": "__completeNoDesc",
		"completion --help":                "source <(tallyman completion bash)",
		"help completion bash":             "source <(tallyman completion bash)",
		"help":                             "Begin with: tallyman dev",
		"help submit":                      "--key",
		"help webhooks replay":             "--from",
		"help help":                        "Help provides help",
		"__complete completion ":           "bash",
	} {
		var out, diag bytes.Buffer
		words := strings.Split(args, " ")
		code := run(t.Context(), words, nil, &out, &diag)
		if code != 0 || !strings.Contains(out.String(), part) || diag.Len() > 0 && words[0] != "__complete" {
			t.Errorf("%s: %d %q %q, want %q", args, code, out.String(), diag.String(), part)
		}
	}
}
