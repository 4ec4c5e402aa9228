package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
)

// The flags of a record are defined once for its creation and its updates. In an
// update, a flag that is given replaces the value, and one that is not given leaves it
// as it is.

// listEdit is the pair of flags with which an update adds to a list (--add-NAME) and
// removes from it (--remove-NAME), where a creation has only --NAME.
type listEdit struct {
	name        string
	add, remove []string
	// split separates several items in one value; nil if a value is always one item.
	split func(string) ([]string, error)
	// spelt says that the items are addresses that may be spelled differently in the
	// list (apis.Spellings).
	spelt bool
}

// bind adds both flags to an update.
func (l *listEdit) bind(f *pflag.FlagSet, name string) {
	l.name = name
	f.Lookup(name).Usage += `; replaces all, "" by none`
	f.StringArrayVar(&l.add, "add-"+name, nil, "add one to the list of --"+name+" (repeatable)")
	f.StringArrayVar(&l.remove, "remove-"+name, nil, "remove one from the list of --"+name+" (repeatable)")
}

// apply changes a list, which --NAME may already have replaced.
func (l *listEdit) apply(f *pflag.FlagSet, list *[]string) error {
	if len(*list) == 1 && (*list)[0] == "" {
		*list = nil
	}
	if len(l.add)+len(l.remove) == 0 {
		return nil
	}
	if f.Changed(l.name) {
		return fmt.Errorf("--%s replaces all; it does not go with --add-%s and --remove-%s", l.name, l.name, l.name)
	}
	add, err1 := l.words(l.add)
	remove, err2 := l.words(l.remove)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	next := slices.Clone(*list)
	for _, v := range remove {
		i := l.index(next, v)
		if i < 0 {
			// Otherwise a misspelled item would stay, and nobody would notice.
			return fmt.Errorf("--remove-%s: there is no %q; there is: %s", l.name, v, strings.Join(next, " "))
		}
		next = slices.Delete(next, i, i+1)
	}
	for _, v := range add {
		if l.index(next, v) < 0 {
			next = append(next, v)
		}
	}
	*list = next
	return nil
}

// index returns the position of an item in a list, or a negative number.
func (l *listEdit) index(list []string, v string) int {
	if registered, ok := apis.Registered(list, v); ok && l.spelt {
		v = registered
	}
	return slices.Index(list, v)
}

// words returns the items in the values of a flag.
func (l *listEdit) words(values []string) (all []string, err error) {
	for _, v := range values {
		words := []string{v}
		if l.split != nil {
			if words, err = l.split(v); err != nil {
				return nil, fmt.Errorf("--add-%s, --remove-%s: %w", l.name, l.name, err)
			}
		}
		all = append(all, words...)
	}
	return all, nil
}

// durationFlag is a duration, or the word default, which becomes nil and means the
// server's setting.
type durationFlag struct{ of *time.Duration }

func (d *durationFlag) Type() string { return "duration" }

func (d *durationFlag) String() string {
	if d.of == nil {
		return "" // the help prints this as the default value
	}
	return d.of.String()
}

func (d *durationFlag) Set(s string) error {
	if s == "default" {
		d.of = nil
		return nil
	}
	of, err := time.ParseDuration(s)
	d.of = &of
	return err
}

// value returns the duration as the admin API takes it; nil for the default.
func (d *durationFlag) value() *string {
	if d.of == nil {
		return nil
	}
	return new(d.of.String())
}

// claimsFlag is a JSON object of claims; several flags are merged into one object.
type claimsFlag accounts.Claims

func (*claimsFlag) Type() string     { return "JSON" }
func (c *claimsFlag) String() string { return "" }

func (c *claimsFlag) Set(s string) error {
	of, err := accounts.ParseClaims([]byte(s))
	if err != nil {
		return errors.New("it is not a JSON object")
	}
	if *c == nil {
		*c = claimsFlag{}
	}
	maps.Copy(*c, of)
	return nil
}

// fixedFlag is a flag of the creation that an update refuses, with the reason.
type fixedFlag string

func (fixedFlag) Type() string         { return "string" }
func (fixedFlag) String() string       { return "" }
func (why fixedFlag) Set(string) error { return errors.New(string(why)) }

// fix adds to an update a flag that it refuses. A switch needs no value to be refused.
func fix(f *pflag.FlagSet, name, why string, isSwitch bool) {
	flag := f.VarPF(fixedFlag(why), name, "", why)
	if flag.Hidden = true; isSwitch {
		flag.NoOptDefVal = "true"
	}
}

// somethingGiven refuses an update without any flag that changes something.
func somethingGiven(cmd *cobra.Command) error {
	given := false
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { given = given || f.Changed && f.Name != "json" && f.Name != "reason" })
	if !given {
		return usage(cmd, "there is nothing to change: give at least one flag that changes something")
	}
	return nil
}

// updated prints the result of an update for people.
func (t *terminal) updated(changed bool, what, name string) {
	if changed {
		fmt.Fprintf(t.stdout, "updated %s %s\n", what, name)
		return
	}
	fmt.Fprintf(t.stdout, "%s %s is unchanged\n", what, name)
}
