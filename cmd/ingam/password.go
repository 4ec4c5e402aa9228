package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/ingam/ingam/web/admin"
)

// passwordFlags are the ways to give a command a new password. It is never an argument,
// because arguments are visible in the process list and in the shell's history.
type passwordFlags struct{ stdin, generate bool }

func (p *passwordFlags) bind(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.stdin, "password-stdin", false, "read the password from standard input, for scripts")
	cmd.Flags().BoolVar(&p.generate, "generate", false, "make a password, and print it once")
}

// read returns the password. Without a flag, a person at a terminal is asked for it.
func (p *passwordFlags) read(cmd *cobra.Command, t *terminal) (string, error) {
	switch keyboard, _ := t.stdin.(*os.File); {
	case p.generate && p.stdin:
		return "", usage(cmd, "--password-stdin and --generate give two passwords: use one of them")
	case p.generate:
		return rand.Text(), nil
	case p.stdin:
		return readPassword(t.stdin)
	case keyboard != nil && term.IsTerminal(int(keyboard.Fd())):
		return askPassword(cmd.Context(), keyboard, t.stderr)
	}
	return "", usage(cmd, "there is no password: run this on a terminal, where it is asked for, or with --password-stdin or --generate")
}

// print shows a generated password; it is not shown again.
func (p *passwordFlags) print(t *terminal, password string) {
	if p.generate {
		fmt.Fprintf(t.stdout, "password %s\n", password)
	}
}

// with returns a user as JSON, with the password if it was generated; it is not shown again.
func (p *passwordFlags) with(u admin.User, password string) any {
	if !p.generate {
		return u
	}
	return struct {
		admin.User
		Password string `json:"password"`
	}{u, password}
}

// readPassword reads a password from standard input.
func readPassword(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 4<<10)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the password: %w", err)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("there is no password on standard input")
	}
	return line, nil
}

// askPassword asks for a password twice, without showing what is typed.
func askPassword(ctx context.Context, keyboard *os.File, screen io.Writer) (string, error) {
	fd := int(keyboard.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask for the password: %w", err)
	}
	type answer struct {
		typed string
		err   error
	}
	ask := func(question string) (string, error) {
		fmt.Fprint(screen, question)
		answered := make(chan answer, 1)
		go func() {
			typed, err := term.ReadPassword(fd)
			answered <- answer{string(typed), err}
		}()
		select {
		case a := <-answered:
			fmt.Fprintln(screen)
			return a.typed, a.err
		case <-ctx.Done():
			// After Ctrl-C, otherwise the shell would no longer show what is typed.
			term.Restore(fd, before)
			fmt.Fprintln(screen)
			return "", ctx.Err()
		}
	}
	first, err := ask("New password: ")
	if err != nil {
		return "", fmt.Errorf("ask for the password: %w", err)
	}
	if first == "" {
		return "", errors.New("no password was typed")
	}
	second, err := ask("Once more: ")
	if err != nil {
		return "", fmt.Errorf("ask for the password: %w", err)
	}
	if first != second {
		return "", errors.New("the two passwords that were typed are not the same")
	}
	return first, nil
}
