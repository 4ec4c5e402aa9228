package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// bound is the flags of a command that lists what there can be a million of.
type bound struct {
	limit int
	all   bool
}

func (b *bound) bind(cmd *cobra.Command, limit int, what string) {
	cmd.Flags().IntVar(&b.limit, "limit", limit, "the largest number to list: "+what)
	cmd.Flags().BoolVar(&b.all, "all", false, "list all")
}

// check is for before anything is read.
func (b *bound) check(cmd *cobra.Command) error {
	switch {
	case b.limit < 1:
		return usage(cmd, "--limit is at least 1")
	case b.all && cmd.Flags().Changed("limit"):
		return usage(cmd, "--all and --limit do not go together")
	}
	return nil
}

// most is how many to read at most: one more than are printed, to know of it. Zero is
// all.
func (b *bound) most() int {
	if b.all {
		return 0
	}
	return b.limit + 1
}

// tellMore says that there are more than were printed, and how to get them.
func (b *bound) tellMore(t *terminal, what string) {
	fmt.Fprintf(t.stderr, "These are %s (%d), and there are more: use --limit N to print N of them, or --all.\n", what, b.limit)
}

// printBound prints what is read, up to the bound; line is one as JSON, and as the
// columns of a line.
func printBound[T any](t *terminal, list *listing, read iter.Seq2[T, error], b *bound, what string, line func(T) (any, []any)) error {
	for v, err := range read {
		if err != nil {
			return err
		}
		if !b.all && list.n == b.limit {
			defer b.tellMore(t, what)
			break
		}
		asJSON, columns := line(v)
		if err := list.add(asJSON, columns...); err != nil {
			return err
		}
	}
	return list.end()
}

// listing is a list that is printed while it is read, so that no more of it is held
// than some lines: a table, or one JSON array.
type listing struct {
	w     io.Writer
	table *tabwriter.Writer // nil for JSON
	n     int
}

// linesAtOnce is of how many lines the columns are as wide.
const linesAtOnce = 100

func (t *terminal) printList(asJSON bool, columns ...string) *listing {
	p := &listing{w: t.stdout}
	if !asJSON {
		p.table = tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(p.table, strings.Join(columns, "\t"))
	}
	return p
}

// add prints one, as JSON or as the columns of a line. It fails when nobody reads any
// more.
func (p *listing) add(v any, columns ...any) (err error) {
	p.n++
	if p.table != nil {
		fmt.Fprintf(p.table, strings.Repeat("%v\t", len(columns)-1)+"%v\n", columns...)
		if p.n%linesAtOnce == 0 {
			err = p.table.Flush()
		}
		return err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("  ", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	before := ",\n  "
	if p.n == 1 {
		before = "[\n  "
	}
	_, err = fmt.Fprint(p.w, before, strings.TrimSuffix(b.String(), "\n"))
	return err
}

// end prints what is left; a list that was not read to its end has none, so that a
// program does not take a part of an array for all of it.
func (p *listing) end() (err error) {
	switch {
	case p.table != nil:
		err = p.table.Flush()
	case p.n == 0:
		_, err = fmt.Fprintln(p.w, "[]")
	default:
		_, err = fmt.Fprint(p.w, "\n]\n")
	}
	return err
}
