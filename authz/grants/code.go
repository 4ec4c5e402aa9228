package grants

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/protocol"
)

// CodeLife is for how long an authorization code may be redeemed (RFC 6749
// section 4.1.2).
const CodeLife = time.Minute

// OwnCode is the prefix of a code that a client got by signing a user in by itself.
// The stored hash covers the prefix, so nobody can turn a code of one kind into one
// of the other.
const OwnCode = "own-"

// authorizationCode is RFC 6749 section 4.1.3 with PKCE (RFC 7636).
//
//	code → the row, used or not → client, redirect URI, verifier match?
//	     no  → invalid_grant, and nothing changes: it may be a thief who asks
//	     yes → used before? → revoke what it became
//	         → sign → one transaction: code used, grant stored
type authorizationCode struct{ Parts }

// errCode is one answer for all that can be wrong with a code.
func errCode(reason protocol.Reason, why string) error {
	e := protocol.Refuse(protocol.InvalidGrant, "The authorization code is unknown, expired or used, or does not go with this client, redirect_uri and code_verifier.")
	e.Cause = protocol.Cause{Reason: reason, Text: why}
	return e
}

func (h *authorizationCode) Grant(ctx context.Context, r Request) (Issued, error) {
	hash, code, err := h.judge(ctx, r)
	if err != nil {
		return Issued{}, err
	}
	return h.begin(ctx, beginning{
		client: r.Client, parameters: r.Parameters, nonce: code.Nonce,
		own: strings.HasPrefix(r.Parameters.Get("code"), OwnCode),
		grant: Grant{
			ClientID: code.ClientID, UserID: code.UserID, SessionID: code.SessionID,
			Scopes: code.Scopes, Audiences: code.Audiences, Permissions: code.Permissions,
			AuthenticatedAt: code.AuthenticatedAt, Methods: code.Methods, ContextClass: code.ContextClass,
			UserEpoch: code.UserEpoch, ClientEpoch: code.ClientEpoch, ServerEpoch: code.ServerEpoch,
		},
		accepts: func(d Decision) error {
			// By what holds for the client now, and what is left of what was granted.
			if lacks := r.Client.Unprotected(code.Challenge, code.Nonce, wantsID(d.Scopes)); lacks != "" {
				return errCode(protocol.ReasonUnprotected, lacks)
			}
			return nil
		},
		store: func(ctx context.Context, g Grant) error {
			err := h.Store.RedeemCode(ctx, hash, g.CreatedAt, g)
			if errors.Is(err, ErrNotFound) {
				// Another request was faster, or something was cut meanwhile. This one
				// had found the code unused, so it is no replay.
				return errCode(protocol.ReasonOvertaken, "used, expired or cut meanwhile")
			}
			return err
		},
	})
}

// judge returns the code that a request presents, and its hash, if it may be
// redeemed.
func (h *authorizationCode) judge(ctx context.Context, r Request) (hash [32]byte, code Code, err error) {
	client, form := r.Client, r.Parameters
	redirect, verifier := form.Get("redirect_uri"), form.Get("code_verifier")
	if form.Get("code") == "" {
		return hash, code, protocol.Refuse(protocol.InvalidRequest, "The parameter code is missing.")
	}
	hash = sha256.Sum256([]byte(form.Get("code")))
	code, err = h.Store.Code(ctx, hash)
	if errors.Is(err, ErrNotFound) {
		return hash, code, errCode(protocol.ReasonUnknown, "no such code")
	}
	if err != nil {
		return hash, code, err
	}
	// A code that leaked must not become a weapon: whoever cannot show all that
	// belongs to it gets a refusal, and the owner notices nothing.
	switch {
	case code.ClientID != client.ID:
		return hash, code, errCode(protocol.ReasonClient, "another client's code")
	case code.Challenge == "" && verifier != "":
		// The client sent a challenge, and somebody took it out on its way, to have
		// the code redeemed without what they do not know (RFC 9700 section 4.8.2).
		return hash, code, errCode(protocol.ReasonVerifier, "code_verifier without a code_challenge")
	case code.Challenge != "" && verifier == "":
		return hash, code, protocol.Refuse(protocol.InvalidRequest, "The parameter code_verifier is missing.")
	case code.Challenge == "" && code.RedirectURI != "" && redirect == "":
		// Section 4.1.3: it was in the authorization request. It keeps codes apart
		// that were asked for in different places; with PKCE the verifier does.
		return hash, code, protocol.Refuse(protocol.InvalidRequest, "The parameter redirect_uri is missing.")
	case redirect != "" && redirect != code.RedirectURI && !(code.RedirectURI == "" && client.Redirects(redirect)):
		return hash, code, errCode(protocol.ReasonRedirectURI, "another redirect_uri")
	case code.Challenge != "" && !verifies(code.Challenge, verifier):
		return hash, code, errCode(protocol.ReasonVerifier, "wrong code_verifier")
	}
	if !code.UsedAt.IsZero() {
		// Its own client used it before, or a thief who has the verifier too did
		// (RFC 6749 section 4.1.2).
		err := h.Cuts.CodeReused(ctx, code.GrantID, client.ID, code.UserID)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return hash, code, err
		}
		return hash, code, errCode(protocol.ReasonReused, "used before; its grant is revoked")
	}
	if !h.Now().Before(code.ExpiresAt) {
		return hash, code, errCode(protocol.ReasonExpired, "expired")
	}
	return hash, code, nil
}

// verifies reports whether a verifier is the one behind a challenge (RFC 7636
// section 4.6). Its length bounds what can be guessed.
func verifies(challenge, verifier string) bool {
	if len(verifier) < 43 || len(verifier) > 128 {
		return false
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(challenge)) == 1
}
