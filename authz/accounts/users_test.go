package accounts_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// people returns the Users of a new database in which u is stored, and the Store.
func people(t *testing.T, u accounts.User) (*accounts.Users, *storage.Store) {
	t.Helper()
	store := storagetest.New(t, storagetest.Engines()[0])
	if err := store.CreateUser(t.Context(), u, audit.Event{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return accounts.NewUsers(store, nil, time.Now), store
}

func TestAChangedAddressIsNotVerifiedUnlessItIsSaidAgain(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	users, _ := people(t, accounts.User{ID: "u", Username: "u", Email: "old@example.com"})
	_, _, err := users.Update(t.Context(), "u", func(u *accounts.User, _ accounts.Others) error { u.Email, u.EmailVerified = "", &yes; return nil }, "", "test")
	if !errors.Is(err, accounts.ErrInvalid) {
		t.Errorf("no address was verified: %v", err)
	}
	for what, c := range map[string]struct {
		was  *bool
		edit func(*accounts.User)
		want *bool
	}{
		"verified":                           {&yes, func(u *accounts.User) { u.Email = "new@example.com" }, &no},
		"not verified":                       {&no, func(u *accounts.User) { u.Email = "new@example.com" }, &no},
		"nobody knows":                       {nil, func(u *accounts.User) { u.Email = "new@example.com" }, nil},
		"said again":                         {&yes, func(u *accounts.User) { u.Email, u.EmailVerified = "new@example.com", &yes }, &yes},
		"said for the first time":            {nil, func(u *accounts.User) { u.Email, u.EmailVerified = "new@example.com", &yes }, &yes},
		"nobody knows any more":              {&yes, func(u *accounts.User) { u.Email, u.EmailVerified = "new@example.com", nil }, nil},
		"said of the same address":           {&no, func(u *accounts.User) { u.EmailVerified = &yes }, &yes},
		"something else":                     {&yes, func(u *accounts.User) { u.Username = "other" }, &yes},
		"the same address":                   {&yes, func(u *accounts.User) { u.Email = "old@example.com" }, &yes},
		"no address, of which there is none": {&yes, func(u *accounts.User) { u.Email = "" }, nil},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			users, _ := people(t, accounts.User{ID: "u", Username: "u", Email: "old@example.com", EmailVerified: c.was})
			u, _, err := users.Update(t.Context(), "u", func(u *accounts.User, _ accounts.Others) error { c.edit(u); return nil }, "", "test")
			if err != nil {
				t.Fatal(err)
			}
			stored, err := users.ByID(t.Context(), "u")
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range []*bool{u.EmailVerified, stored.EmailVerified} {
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// TestEachFieldOfAUserCanBeChangedAloneOrNotAtAll: an update compares some fields to find
// out whether anything has changed. A field that is missing there could not be changed
// alone.
func TestEachFieldOfAUserCanBeChangedAloneOrNotAtAll(t *testing.T) {
	t.Parallel()
	fixed := []string{"ID", "Password", "MustChange", "Disabled", "Epoch"}
	users, store := people(t, accounts.User{ID: "u", Username: "u", Email: "u@example.com"})
	yes, n := true, 0
	for i := range reflect.TypeFor[accounts.User]().NumField() {
		name := reflect.TypeFor[accounts.User]().Field(i).Name
		if name == "CreatedAt" {
			continue
		}
		_, changed, err := users.Update(t.Context(), "u", func(u *accounts.User, _ accounts.Others) error {
			switch f := reflect.ValueOf(u).Elem().Field(i); f.Kind() {
			case reflect.String:
				f.SetString("x@example.com")
			case reflect.Bool:
				f.SetBool(true)
			case reflect.Int64:
				f.SetInt(99)
			case reflect.Pointer:
				f.Set(reflect.ValueOf(&yes))
			case reflect.Slice:
				u.Roles = []string{"role"}
			case reflect.Map:
				u.Claims = claims(t, `{"locale": "ko"}`)
			default:
				t.Fatalf("%s is of the type %s, which this test does not know", name, f.Type())
			}
			return nil
		}, "", "test")
		if slices.Contains(fixed, name) {
			if !errors.Is(err, accounts.ErrInvalid) || changed {
				t.Errorf("%s was changed: %t, %v", name, changed, err)
			}
			continue
		}
		if n++; err != nil || !changed {
			t.Errorf("%s was not changed: %t, %v", name, changed, err)
		}
	}
	events, err := storagetest.Events(t.Context(), store, audit.Query{Action: audit.UserUpdated})
	if err != nil || len(events) != n {
		t.Errorf("%d events of %d changes: %v", len(events), n, err)
	}
	for _, ev := range events {
		if s := fmt.Sprint(ev.Details); strings.Contains(s, "u@example.com") || strings.Contains(s, "ko") {
			t.Errorf("the audit knows too much: %s", s)
		}
	}
}

func TestTwoEditorsAtOnceBothHold(t *testing.T) {
	t.Parallel()
	users, _ := people(t, accounts.User{ID: "u", Username: "u"})
	const n = 8
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			_, _, err := users.Update(t.Context(), "u", func(u *accounts.User, _ accounts.Others) error {
				u.Roles = append(u.Roles, fmt.Sprint("role-", i))
				return nil
			}, "", "test")
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	u, err := users.ByID(t.Context(), "u")
	if slices.Sort(u.Roles); err != nil || strings.Join(u.Roles, " ") != "role-0 role-1 role-2 role-3 role-4 role-5 role-6 role-7" {
		t.Errorf("%v, %v", u.Roles, err)
	}
}

// claims parses the claims of a user.
func claims(t *testing.T, s string) accounts.Claims {
	t.Helper()
	c, err := accounts.ParseClaims([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
