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

// What a record is registered with is bound once for creations and updates: a flag
// that is given replaces, and one that is not leaves alone.

// listEdit is what an update adds to a list (--add-NAME) and takes from it
// (--remove-NAME), where a creation has --NAME alone.
type listEdit struct {
	name        string
	add, remove []string
	// split is how several come in one value; nil is not at all.
	split func(string) ([]string, error)
	// spelt is whether they are addresses that may be spelt in another way than in the
	// list (apis.Spellings).
	spelt bool
}

// bind adds both flags to those of an update.
func (l *listEdit) bind(f *pflag.FlagSet, name string) {
	l.name = name
	f.Lookup(name).Usage += `; replaces all, "" by none`
	f.StringArrayVar(&l.add, "add-"+name, nil, "add one to the list of --"+name+" (repeatable)")
	f.StringArrayVar(&l.remove, "remove-"+name, nil, "remove one from the list of --"+name+" (repeatable)")
}

// apply changes a list, which the flag --NAME may have replaced already.
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
			// What was misspelt would stay, and nobody would know.
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

// index is where a value is in a list, below zero if it is not.
func (l *listEdit) index(list []string, v string) int {
	if registered, ok := apis.Registered(list, v); ok && l.spelt {
		v = registered
	}
	return slices.Index(list, v)
}

// words are the values of a flag one by one.
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

// durationFlag is a duration that can be left to the server's settings by the word
// default, which nil stands for.
type durationFlag struct{ of *time.Duration }

func (d *durationFlag) Type() string { return "duration" }

func (d *durationFlag) String() string {
	if d.of == nil {
		return "" // what is printed as the default value in the help
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

// claimsFlag is a JSON object of claims; several are one.
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

// fixedFlag is a flag of a creation that an update refuses, saying why.
type fixedFlag string

func (fixedFlag) Type() string         { return "string" }
func (fixedFlag) String() string       { return "" }
func (why fixedFlag) Set(string) error { return errors.New(string(why)) }

// fix gives an update a flag that it refuses, and that needs no value for that if it
// is a switch.
func fix(f *pflag.FlagSet, name, why string, isSwitch bool) {
	flag := f.VarPF(fixedFlag(why), name, "", why)
	if flag.Hidden = true; isSwitch {
		flag.NoOptDefVal = "true"
	}
}

// somethingGiven refuses an update that was not told what to change.
func somethingGiven(cmd *cobra.Command) error {
	given := false
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) { given = given || f.Changed && f.Name != "json" && f.Name != "reason" })
	if !given {
		return usage(cmd, "there is nothing to change: give at least one flag that changes something")
	}
	return nil
}

// updated is how an update ends for people.
func (t *terminal) updated(changed bool, what, name string) {
	if changed {
		fmt.Fprintf(t.stdout, "updated %s %s\n", what, name)
		return
	}
	fmt.Fprintf(t.stdout, "%s %s is unchanged\n", what, name)
}
