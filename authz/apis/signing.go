package apis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DefaultAlg is the algorithm by which tokens are signed unless another one is asked for.
// Every library has it.
const DefaultAlg = "RS256"

// SigningAlgs returns the algorithms with public keys that can be asked for (RFC 7518
// section 3.1, RFC 8037). For an API there is also SharedAlg.
func SigningAlgs() []string { return []string{DefaultAlg, "PS256", "ES256", "EdDSA"} }

// Signing says by which algorithm a kind of tokens is signed: the access tokens for an API,
// or the ID tokens of a client. The zero value is DefaultAlg.
//
// A change of the algorithm waits until every verifier can know a key for the new one.
// Until then the former one signs: verifiers keep a copy of the key set for a while, and
// would refuse tokens of a key that they have not seen.
type Signing struct {
	// Alg is the algorithm, as in the header of the tokens; empty means DefaultAlg.
	Alg string
	// Former is the algorithm until From; empty means DefaultAlg.
	Former string
	// From is when Alg begins to be used; zero means that it is.
	From time.Time
}

// At returns the algorithm by which tokens are signed at a time.
func (s Signing) At(now time.Time) string {
	if now.Before(s.From) {
		return cmp.Or(s.Former, DefaultAlg)
	}
	return cmp.Or(s.Alg, DefaultAlg)
}

// Wants returns the algorithm that was asked for last.
func (s Signing) Wants() string { return cmp.Or(s.Alg, DefaultAlg) }

// To returns the Signing after a change to alg, a key for which every verifier knows from
// known on.
func (s Signing) To(alg string, known, now time.Time) Signing {
	to := Signing{Alg: alg}
	if former := s.At(now); former != to.Wants() && now.Before(known) {
		to.Former, to.From = former, known
	}
	return to.canonical()
}

// canonical writes the default algorithm as the empty string.
func (s Signing) canonical() Signing {
	for _, alg := range []*string{&s.Alg, &s.Former} {
		if *alg == DefaultAlg {
			*alg = ""
		}
	}
	return s
}

// Validate refuses an algorithm that ID tokens cannot be signed with: anything but one of
// SigningAlgs.
func (s Signing) Validate() error { return s.among(SigningAlgs()) }

// ValidateForAPI refuses an algorithm that access tokens cannot be signed with. They can
// have SharedAlg, too.
func (s Signing) ValidateForAPI() error { return s.among(append(SigningAlgs(), SharedAlg)) }

func (s Signing) among(algs []string) error {
	if !slices.Contains(algs, s.Wants()) {
		return fmt.Errorf("unknown signature algorithm %q; there are %s", s.Alg, strings.Join(algs, ", "))
	}
	return nil
}
