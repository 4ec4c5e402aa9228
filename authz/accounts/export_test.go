package accounts

// CheapPasswords hashes with the least that argon2 takes: a test of who signs in is
// not one of how long that takes whoever guesses.
func CheapPasswords() (*Passwords, error) { return newPasswords(8, 1) }
