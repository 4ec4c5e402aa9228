// Command ingam is the authorization server and its command line.
//
// Rules for the output of every command: results go to standard output and everything
// else to standard error; with --json the result is one JSON array or object. The exit
// status is 0 if the command succeeded, 1 if it was refused or failed, 2 if it was
// called wrongly.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/storage"
)

func main() {
	// After the first signal, a second one has its default effect, so an operator who
	// asks twice does not have to wait.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// The exit statuses.
const (
	done   = 0
	failed = 1
	misuse = 2
	// planned: there is something to change, and it was only to be planned.
	planned = 3
)

// terminal is what a command runs with: its streams and its clock.
type terminal struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	// server is the server elsewhere that commands are sent to; empty for the one whose
	// database is at hand.
	server string
}

func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	t := &terminal{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now}
	root := commands(t)
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if words := unknownCommand(cmd, args); len(words) > 0 {
			return subcommand(cmd, words)
		}
		return usage(cmd, "%w", err)
	})
	var wrong error
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, of []string) {
		if words := unknownCommand(cmd, args); len(words) > 0 {
			wrong = subcommand(cmd, words)
			return
		}
		help(cmd, of)
	})
	strictBuiltins(root)
	if isCompletion(args) {
		complete(root)
	}
	err := cmp.Or(root.ExecuteContext(ctx), wrong)
	if err == nil {
		return done
	}
	if errors.Is(err, errPlanned) { // the plan says it
		return planned
	}
	fmt.Fprintf(stderr, "ingam: %v\n", err)
	var misused *usageError
	if errors.As(err, &misused) {
		return misuse
	}
	return failed
}

// commands returns the command and all that are in it.
func commands(t *terminal) *cobra.Command {
	root := &cobra.Command{
		Use:           "ingam",
		Short:         "An OAuth 2 authorization server and OpenID Provider",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE:          subcommand,
	}
	config.Flags(root.PersistentFlags())
	root.AddCommand(
		serveCommand(t),
		migrateCommand(t),
		masterKeyCommand(t),
		administered(t, apiCommand(t)),
		administered(t, clientCommand(t)),
		administered(t, userCommand(t)),
		administered(t, sessionCommand(t)),
		administered(t, grantCommand(t)),
		administered(t, accessCommand(t)),
		administered(t, keyCommand(t)),
		administered(t, revokeCommand(t)),
		administered(t, auditCommand(t)),
		backupCommand(t),
		restoreCommand(t),
		tokenCommand(t),
		benchCommand(t),
		configCommand(t),
		administered(t, applyCommand(t)),
		administered(t, exportCommand(t)),
		adminCommand(t),
		loginCommand(t),
		logoutCommand(t),
		versionCommand(t),
	)
	return root
}

// usageError says that a command was called wrongly.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usage(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{fmt.Errorf(format+" (see: %s --help)", append(args, cmd.CommandPath())...)}
}

// subcommand runs a command that only groups others.
func subcommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, "there is no command %q", cmd.CommandPath()+" "+args[0])
	}
	cmd.SetOut(cmd.ErrOrStderr())
	cmd.Help()
	return usage(cmd, "a command is missing")
}

// unknownCommand returns the words, without flags, that follow a command which only
// groups others. cobra parses flags first; for a command that does not exist it would
// report a wrong flag, or show the help of another command.
func unknownCommand(cmd *cobra.Command, args []string) []string {
	if !cmd.HasSubCommands() {
		return nil
	}
	found, rest, err := cmd.Root().Find(args)
	if err != nil || found != cmd { // help is asked for another one
		return nil
	}
	flags := cmd.Flags()
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.Parse(rest) // what else is wrong with a flag is not the question
	return flags.Args()
}

// strictBuiltins makes the commands that cobra adds follow the same rules. By default
// they show help for a command that does not exist, and succeed.
func strictBuiltins(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(cmd *cobra.Command, args []string) error {
				if _, rest, err := root.Find(args); err != nil || len(rest) > 0 {
					return usage(cmd, "there is no command %q", root.Name()+" "+strings.Join(args, " "))
				}
				return nil
			}
		case "completion":
			c.Args, c.RunE = cobra.ArbitraryArgs, subcommand
			c.Short = "Print what makes a shell complete commands"
			for _, shell := range c.Commands() {
				shell.Args = exactly(0)
			}
		}
	}
}

// group returns a command that only groups others.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: subcommand}
	g.AddCommand(commands...)
	return g
}

// exactly checks the number of arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usage(cmd, "%s takes %d arguments and got %d", cmd.CommandPath(), n, len(args))
		}
		return nil
	}
}

// require checks that flags were given, and names the missing ones.
func require(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if !cmd.Flags().Changed(name) {
			return usage(cmd, "--%s is missing", name)
		}
	}
	return nil
}

// named adds to an error what it is about, unless the error says so already.
func named(what string, err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := err.(*storage.Refusal); ok {
		err = refused.Unwrap() // it would say so again
	}
	return fmt.Errorf("%s: %w", what, err)
}

// printJSON prints a result for programs.
func (t *terminal) printJSON(v any) error {
	e := json.NewEncoder(t.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// instant formats a time for programs; nil for the zero time.
func instant(at time.Time) *string {
	if at.IsZero() {
		return nil
	}
	s := at.UTC().Format("2006-01-02T15:04:05.000Z")
	return &s
}

// text formats a time for people.
func text(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return at.UTC().Format(time.DateTime)
}

// instantText is text for a time that instant has formatted.
func instantText(at *string) string {
	if at == nil {
		return text(time.Time{})
	}
	parsed, err := time.Parse(time.RFC3339, *at)
	if err != nil {
		return *at
	}
	return text(parsed)
}
