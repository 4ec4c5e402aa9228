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

// bound is the flags that limit the output of a command which may list a million
// records.
type bound struct {
	limit int
	all   bool
}

func (b *bound) bind(cmd *cobra.Command, limit int, what string) {
	cmd.Flags().IntVar(&b.limit, "limit", limit, "the largest number to list: "+what)
	cmd.Flags().BoolVar(&b.all, "all", false, "list all")
}

// check checks the flags, before anything is read.
func (b *bound) check(cmd *cobra.Command) error {
	switch {
	case b.limit < 1:
		return usage(cmd, "--limit is at least 1")
	case b.all && cmd.Flags().Changed("limit"):
		return usage(cmd, "--all and --limit do not go together")
	}
	return nil
}

// most returns how many records to read: one more than are printed, to know whether
// there are more. Zero means all.
func (b *bound) most() int {
	if b.all {
		return 0
	}
	return b.limit + 1
}

// tellMore prints that there are more records, and how to get them.
func (b *bound) tellMore(t *terminal, what string) {
	fmt.Fprintf(t.stderr, "These are %s (%d), and there are more: use --limit N to print N of them, or --all.\n", what, b.limit)
}

// printBound prints records while it reads them, up to the limit. line returns a record
// as JSON and as the columns of a line.
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

// listing prints records while they are read, as a table or as one JSON array, so that
// only a few lines are in memory.
type listing struct {
	w     io.Writer
	table *tabwriter.Writer // nil for JSON
	n     int
}

// linesAtOnce is how many lines are aligned at a time.
const linesAtOnce = 100

func (t *terminal) printList(asJSON bool, columns ...string) *listing {
	p := &listing{w: t.stdout}
	if !asJSON {
		p.table = tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(p.table, strings.Join(columns, "\t"))
	}
	return p
}

// add prints one record, as JSON or as columns. It fails when nobody reads the output
// any more.
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

// end prints the rest. Callers leave it out after an error, so that a program cannot
// take an incomplete array for a complete one.
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
