package accounts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/secure/precis"

	"github.com/ingam/ingam/authz/field"
)

// normalizeUsername returns the one form in which a user name is stored and compared:
// the UsernameCaseMapped profile (RFC 8265 section 3.3), without surrounding space. It
// keeps two users from having names that look the same.
func normalizeUsername(name string) (string, error) {
	name, err := precis.UsernameCaseMapped.String(strings.TrimSpace(name))
	if err != nil || name == "" || len(name) > 200 {
		return "", field.At(fmt.Errorf("%w: a user name has 1 to 200 letters, digits and signs, and no spaces (RFC 8265)", ErrInvalid), "username")
	}
	return name, nil
}

// EmailForm returns the one form in which an e-mail address is compared with other
// addresses and with user names. It is the form of a user name, without regard to case
// and width. (To some mail servers case matters; but people would mix up two users whose
// addresses differ in case alone.) The form is empty for an address that cannot be a user
// name, because it has a character that is no letter, digit or sign, mixes right-to-left
// with left-to-right, or has more than 200 bytes. Such an address signs nobody in, and is
// compared with none. A domain counts as it is written, not as its punycode.
func EmailForm(address string) string {
	form, err := normalizeUsername(address)
	if err != nil {
		return ""
	}
	return form
}

// BySignInName returns the user with the name that a person typed at sign-in: a user
// name or, if there is none like it, an e-mail address. Returns ErrNotFound if no user
// has it, or if it is an address that several users have.
func (d *Users) BySignInName(ctx context.Context, typed string) (User, error) {
	form, err := normalizeUsername(typed)
	if err != nil {
		return User{}, ErrNotFound
	}
	// Two users with this address are too many to decide. A third is asked for since
	// one may be found by a former address, whose stored form is out of date.
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
	// If as many were found as were asked for, there may be more.
	if len(addressed) != 1 || len(found) == most {
		return User{}, ErrNotFound
	}
	return addressed[0], nil
}

// SharingEmail returns the other users because of whom u cannot sign in by e-mail
// address: they have the same address, or have it as their user name. If there are very
// many, it returns some of them.
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

// SharedEmails returns the ids of those users, of list, for whom SharingEmail would find
// somebody.
func (d *Users) SharedEmails(ctx context.Context, list []User) (map[string]bool, error) {
	var forms []string
	for _, u := range list {
		if form := EmailForm(u.Email); form != "" {
			forms = append(forms, form)
		}
	}
	shared := map[string]bool{}
	several, err := d.store.SharedForms(ctx, forms)
	if err != nil || len(several) == 0 {
		return shared, err
	}
	for _, u := range list {
		if !slices.Contains(several, EmailForm(u.Email)) {
			continue
		}
		// A stored form may be out of date.
		others, err := d.SharingEmail(ctx, u)
		if err != nil {
			return nil, err
		}
		shared[u.ID] = len(others) > 0
	}
	return shared, nil
}
