package accounts

import "testing"

// CheapPasswords hashes with the least that argon2 takes: a test of who signs in is
// not one of how long that takes whoever guesses.
func CheapPasswords() (*Passwords, error) { return newPasswords(0, 8, 1) }

// Occupy takes all threads that may hash, until they are given back.
func (p *Passwords) Occupy(t testing.TB) (giveBack func()) {
	t.Helper()
	if err := p.threads.Acquire(t.Context(), p.atOnce); err != nil {
		t.Fatal(err)
	}
	return func() { p.threads.Release(p.atOnce) }
}

// AtOnce is how many threads hash at once.
func (p *Passwords) AtOnce() int { return int(p.atOnce) }
