package signin_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// house is a database with users who can sign in.
type house struct {
	*testing.T
	url      string
	store    *storage.Store
	users    *accounts.Users
	sessions *sessions.Sessions
	signIn   *signin.SignIn
	// passwords is the Hasher that users and signIn use.
	passwords *passwords.Hasher
	hash      string
}

// secret is the password of every user, so that it never decides who is signed in.
const secret = "the 4711 secrets of a house"

func newHouse(t *testing.T, failures int) house {
	t.Helper()
	url := storagetest.Engines()[0].NewURL(t)
	store := storagetest.Open(t, url)
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	// This is the lowest cost that argon2 accepts: these tests check who is signed in,
	// and not how long an attacker has to guess.
	hasher, err := passwords.New(0, passwords.Cost{Memory: 8, Passes: 1})
	if err != nil {
		t.Fatal(err)
	}
	users := accounts.NewUsers(store, hasher, time.Now)
	logins := sessions.New(store, time.Hour, time.Hour, time.Now)
	keeper, err := users.Create(t.Context(), accounts.User{Username: "keeper"}, secret, "test")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "master.key")
	if err := masterkey.Write(file, ""); err != nil {
		t.Fatal(err)
	}
	master, err := masterkey.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	notes := masterkey.NewNotes(master, "new password", signin.NoteLife, time.Now)
	guesses := throttle.New(store, hasher.AtOnce(), failures, time.Hour, time.Now)
	return house{t, url, store, users, logins, signin.New(users, logins, hasher, guesses, notes, store, time.Now), hasher, keeper.Password}
}

// user registers a user whose id is the user name.
func (h house) user(username, email string) {
	h.Helper()
	err := h.store.CreateUser(h.Context(), accounts.User{ID: username, Username: username, Email: email, Password: h.hash}, audit.Event{At: time.Now()})
	if err != nil {
		h.Fatal(err)
	}
}

// shared registers a user with the address of another user, as an older version could.
func (h house) shared(username, email string) {
	h.Helper()
	h.user(username, "")
	storagetest.Exec(h, h.url, fmt.Sprintf("UPDATE users SET email = '%s', email_form = '%s' WHERE id = '%s'", email, strings.ToLower(email), username))
}

// moved changes the address of a user, as a version does that has no forms.
func (h house) moved(username, email string) {
	h.Helper()
	storagetest.Exec(h, h.url, fmt.Sprintf("UPDATE users SET email = '%s' WHERE id = '%s'", email, username))
}

// try signs in and returns the name of the user who is signed in.
func (h house) try(typed, password, from string) (username string, err error) {
	in, err := h.signIn.Do(h.Context(), typed, password, signin.Visitor{Address: from})
	return in.User.Username, err
}

// occupy takes all threads that may hash, until giveBack is called.
func (h house) occupy() (giveBack func()) {
	h.Helper()
	taken, give, given := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		given <- h.passwords.InTurn(h.Context(), h.passwords.AtOnce(), func() error { close(taken); <-give; return nil })
	}()
	<-taken
	return func() {
		close(give)
		if err := <-given; err != nil {
			h.Error(err)
		}
	}
}
