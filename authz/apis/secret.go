package apis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// SharedAlg is the algorithm of an API that shares a secret with the server: HMAC with
// SHA-256 (RFC 7518 section 3.2). Whoever knows the secret can make tokens for that API,
// and no others.
const SharedAlg = "HS256"

// MaxSecrets is how many secrets an API can share with the server at once: one that signs,
// and one that the API is to know before it signs, or after.
const MaxSecrets = 2

var (
	// ErrTooManySecrets: the API has MaxSecrets secrets.
	ErrTooManySecrets = errors.New("it has two secrets already; remove one first")
	// ErrSecretNotFound: the API has no secret with that id.
	ErrSecretNotFound = errors.New("no such secret")
	// ErrSecretSigns: the secret signs tokens for the API now, or may do so at any time.
	ErrSecretSigns = errors.New("the secret signs; let another one sign first")
	// ErrNoneSigns: the API has two secrets, and nobody has said which is to sign.
	ErrNoneSigns = errors.New("it has two secrets, of which none signs; choose one first")
)

// Secret is a secret that the server shares with one API.
type Secret struct {
	// ID is the kid in the header of the tokens that it signs.
	ID string
	// Sealed is the secret, encrypted under the master key.
	Sealed []byte
	// Signs is whether it is the one that signs tokens for the API while the API's
	// algorithm is SharedAlg.
	Signs     bool
	CreatedAt time.Time
	// Shown is the secret itself, in base64url. Only the call that makes a secret returns
	// it; it is stored nowhere.
	Shown string
}

// String returns the id: nobody prints a secret by accident.
func (s Secret) String() string { return s.ID }

// GoString is String, for %#v.
func (s Secret) GoString() string { return s.ID }

// SigningSecret returns the secret that signs tokens for the API.
func (a API) SigningSecret() (Secret, bool) {
	i := slices.IndexFunc(a.Secrets, func(s Secret) bool { return s.Signs })
	if i < 0 {
		return Secret{}, false
	}
	return a.Secrets[i], true
}

// NewSecret returns the secret that the last call made, if it made one.
func (a API) NewSecret() (Secret, bool) {
	i := slices.IndexFunc(a.Secrets, func(s Secret) bool { return s.Shown != "" })
	if i < 0 {
		return Secret{}, false
	}
	return a.Secrets[i], true
}

// AddSecret adds a secret to the API. Returns ErrTooManySecrets.
func (a *API) AddSecret(s Secret) error {
	if len(a.Secrets) >= MaxSecrets {
		return ErrTooManySecrets
	}
	a.Secrets = append(slices.Clone(a.Secrets), s)
	return nil
}

// UseSecret lets the secret with that id sign, and no other. It reports whether it did not
// before. Returns ErrSecretNotFound.
func (a *API) UseSecret(id string) (changed bool, err error) {
	i := slices.IndexFunc(a.Secrets, func(s Secret) bool { return s.ID == id })
	if i < 0 {
		return false, fmt.Errorf("%w: %s", ErrSecretNotFound, id)
	}
	changed = !a.Secrets[i].Signs
	a.Secrets = slices.Clone(a.Secrets)
	for j := range a.Secrets {
		a.Secrets[j].Signs = i == j
	}
	return changed, nil
}

// RemoveSecret removes the secret with that id. One that signs stays as long as the API's
// algorithm is SharedAlg, or was until a time that is yet to come. Returns
// ErrSecretNotFound or ErrSecretSigns.
func (a *API) RemoveSecret(id string, now time.Time) error {
	i := slices.IndexFunc(a.Secrets, func(s Secret) bool { return s.ID == id })
	if i < 0 {
		return fmt.Errorf("%w: %s", ErrSecretNotFound, id)
	}
	if a.Secrets[i].Signs && (a.Signing.Wants() == SharedAlg || a.Signing.At(now) == SharedAlg) {
		return ErrSecretSigns
	}
	a.Secrets = slices.Delete(slices.Clone(a.Secrets), i, i+1)
	return nil
}

// BeginToShare makes sure that a secret of the API signs. If the API has none, it gets the
// one that fresh makes. Returns ErrNoneSigns, or what fresh returned.
func (a *API) BeginToShare(fresh func() (Secret, error)) error {
	if _, ok := a.SigningSecret(); ok {
		return nil
	}
	switch len(a.Secrets) {
	case 0:
		s, err := fresh()
		if err != nil {
			return err
		}
		s.Signs = true
		return a.AddSecret(s)
	case 1:
		_, err := a.UseSecret(a.Secrets[0].ID)
		return err
	}
	return ErrNoneSigns
}

// SecretIDs returns the ids of the API's secrets, for the audit log; that of the one that
// signs comes first.
func (a API) SecretIDs() string {
	var ids []string
	for _, signs := range []bool{true, false} {
		for _, s := range a.Secrets {
			if s.Signs == signs {
				ids = append(ids, s.ID)
			}
		}
	}
	return strings.Join(ids, " ")
}
