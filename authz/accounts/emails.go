package accounts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/secure/precis"
)

// normalizeUsername returns the one form in which a user name is stored and
// compared, so that nobody can sign up as somebody who only looks the same: the
// UsernameCaseMapped profile (RFC 8265 section 3.3) without surrounding space.
func normalizeUsername(name string) (string, error) {
	name, err := precis.UsernameCaseMapped.String(strings.TrimSpace(name))
	if err != nil || name == "" || len(name) > 200 {
		return "", fmt.Errorf("%w: a user name has 1 to 200 letters, digits and signs, and no spaces (RFC 8265)", ErrInvalid)
	}
	return name, nil
}

// EmailForm returns the one form in which an address is compared, with others and
// with user names: that of a user name. Case and width do not count, although to
// some mail servers case does: two people with such addresses would be taken for
// each other. An address that cannot be a user name (a character that is no letter,
// digit or sign; right-to-left and left-to-right mixed; more than 200 bytes) has no
// form, which is empty: it signs nobody in, and is compared with none. A domain
// counts as it is written, not as what it is in punycode.
func EmailForm(address string) string {
	form, err := normalizeUsername(address)
	if err != nil {
		return ""
	}
	return form
}

// BySignInName returns the user whom a person names at sign-in: by user name, else
// by an address that only one user has. Returns ErrNotFound if that is nobody, which
// includes an address that several have.
func (d *Users) BySignInName(ctx context.Context, typed string) (User, error) {
	form, err := normalizeUsername(typed)
	if err != nil {
		return User{}, ErrNotFound
	}
	// Three of them: two are too many, and one more may be there by a former address.
	const most = 3
	found, err := d.store.UsersByForm(ctx, form, most)
	if err != nil {
		return User{}, err
	}
	var addressed []User
	for _, u := range found {
		if u.Username == form {
			return u, nil
		}
		if EmailForm(u.Email) == form {
			addressed = append(addressed, u)
		}
	}
	// Of as many as were asked for there may be more.
	if len(addressed) != 1 || len(found) == most {
		return User{}, ErrNotFound
	}
	return addressed[0], nil
}

// SharingEmail returns the users, or some of very many, for whom nobody signs in as
// u by their address: they have it too, or as their user name.
func (d *Users) SharingEmail(ctx context.Context, u User) ([]User, error) {
	form := EmailForm(u.Email)
	if form == "" {
		return nil, nil
	}
	found, err := d.store.UsersByForm(ctx, form, 20)
	if err != nil {
		return nil, err
	}
	var others []User
	for _, o := range found {
		same := o.Username == form || EmailForm(o.Email) == form
		if same && o.ID != u.ID && !slices.ContainsFunc(others, func(other User) bool { return other.ID == o.ID }) {
			others = append(others, o)
		}
	}
	return others, nil
}

// SharedEmails returns the ids of those, of all users, who have somebody like
// SharingEmail's.
func SharedEmails(all []User) map[string]bool {
	// Whose each form is, by name or address; empty where it is several users'.
	owner := map[string]string{}
	claim := func(form, id string) {
		if was, taken := owner[form]; taken && was != id {
			id = ""
		}
		owner[form] = id
	}
	forms := make([]string, len(all))
	for i, u := range all {
		claim(u.Username, u.ID)
		if forms[i] = EmailForm(u.Email); forms[i] != "" {
			claim(forms[i], u.ID)
		}
	}
	shared := map[string]bool{}
	for i, u := range all {
		if forms[i] != "" && owner[forms[i]] == "" {
			shared[u.ID] = true
		}
	}
	return shared
}
