package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those that there is a script for.
func shells() []string { return []string{"bash", "zsh", "fish", "powershell"} }

// newCompletion stands in for cobra's own, whose shells are commands below a command: of one that it does not know it
// prints the help, on standard output, and all is well; a shell that loads the output at its start then says nothing.
func newCompletion() *cobra.Command {
	var noDescriptions bool
	cmd := &cobra.Command{
		Use:   "completion SHELL",
		Short: "Print the completion script for bash, zsh, fish or powershell",
		Long: "Print the script with which a shell completes commands and flags. To load it in each new one:\n\n" +
			"  bash        add to ~/.bashrc:  source <(tallyman completion bash)\n" +
			"              (it needs the package bash-completion)\n" +
			"  zsh         tallyman completion zsh > \"${fpath[1]}/_tallyman\"\n" +
			"              (it needs, once, in ~/.zshrc:  autoload -U compinit; compinit)\n" +
			"  fish        tallyman completion fish > ~/.config/fish/completions/tallyman.fish\n" +
			"  powershell  add to $PROFILE:  tallyman completion powershell | Out-String | Invoke-Expression",
		ValidArgs: shells(),
		Args:      oneShell,
		RunE: func(cmd *cobra.Command, args []string) error {
			return writeCompletion(cmd.Root(), cmd.OutOrStdout(), args[0], !noDescriptions)
		},
	}
	cmd.Flags().BoolVar(&noDescriptions, "no-descriptions", false, "complete without saying what each word is")
	return cmd
}

func oneShell(cmd *cobra.Command, args []string) error {
	there := strings.Join(shells(), ", ")
	switch {
	case len(args) != 1:
		return fmt.Errorf("name one shell of %s: %s", there, cmd.UseLine())
	case !slices.Contains(shells(), args[0]):
		return fmt.Errorf("there is no completion for the shell %q; there are %s", args[0], there)
	}
	return nil
}

func writeCompletion(root *cobra.Command, w io.Writer, shell string, descriptions bool) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, descriptions)
	case "zsh":
		if descriptions {
			return root.GenZshCompletion(w)
		}
		return root.GenZshCompletionNoDesc(w)
	case "fish":
		return root.GenFishCompletion(w, descriptions)
	}
	if descriptions {
		return root.GenPowerShellCompletionWithDesc(w)
	}
	return root.GenPowerShellCompletion(w)
}

// refuseUnknownTopics has `help` refuse what is no command; by itself it prints the help of what it could find, and all is well.
func refuseUnknownTopics(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			cmd.Args = knownTopic
		}
	}
}

// knownTopic takes the path to a command, or no word. Behind it may stand what that command takes, like a shell.
func knownTopic(cmd *cobra.Command, args []string) error {
	found, rest, err := cmd.Root().Find(args)
	if err != nil {
		found, rest = cmd.Root(), args
	}
	if len(rest) == 0 || slices.Contains(found.ValidArgs, rest[0]) {
		return nil
	}
	var there []string
	for _, c := range found.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			there = append(there, c.Name())
		}
	}
	fault := fmt.Sprintf("there is no help on %q", strings.Join(args, " "))
	if len(there) == 0 {
		return fmt.Errorf("%s; see `%s --help`", fault, found.CommandPath())
	}
	return fmt.Errorf("%s; there is on %s", fault, strings.Join(there, ", "))
}
