package grants

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
)

// CodeLife is for how long an authorization code may be redeemed (RFC 6749
// section 4.1.2).
const CodeLife = time.Minute

// OwnCode is how a code begins that a client got by signing someone in by itself.
// It is part of what is hashed, so that nobody can make one kind of the other.
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
	d, err := h.decide(ctx, r, code)
	if err != nil {
		return Issued{}, err
	}
	return h.redeem(ctx, r, hash, code, d)
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
		err := h.Store.RevokeGrant(ctx, code.GrantID, audit.Event{
			At: h.Now(), Actor: audit.Actor("client:" + client.ID), Action: audit.CodeReused, Subject: code.GrantID,
		})
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

// decide says what the tokens will be for.
func (h *authorizationCode) decide(ctx context.Context, r Request, code Code) (Decision, error) {
	left, err := h.Rules.Left(ctx, r.Client, code.Granted())
	if err != nil {
		return Decision{}, err
	}
	d, err := h.Rules.Decide(left, r.Parameters, "")
	if err != nil {
		return Decision{}, err
	}
	// By what holds for the client now, and what is left of what was granted.
	if lacks := r.Client.Unprotected(code.Challenge, code.Nonce, wantsID(d.Scopes)); lacks != "" {
		return Decision{}, errCode(protocol.ReasonUnprotected, lacks)
	}
	return d, nil
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

// redeem begins the grant that a code becomes.
func (h *authorizationCode) redeem(ctx context.Context, r Request, hash [32]byte, code Code, d Decision) (Issued, error) {
	client, m, now := r.Client, &making{decision: d}, h.Now()
	own := strings.HasPrefix(r.Parameters.Get("code"), OwnCode)
	g := Grant{
		ID: rand.Text(), ClientID: code.ClientID, UserID: code.UserID, SessionID: code.SessionID,
		Scopes: code.Scopes, Audiences: code.Audiences, Permissions: code.Permissions, AuthenticatedAt: code.AuthenticatedAt, Methods: code.Methods,
		// The session of an app that signs people in is that sign-in and nothing
		// else: they end together.
		Offline:   slices.Contains(code.Scopes, apis.OfflineAccess) && !own,
		UserEpoch: code.UserEpoch, ClientEpoch: code.ClientEpoch, ServerEpoch: code.ServerEpoch,
		CreatedAt: now, ExpiresAt: now.Add(d.TTL),
	}
	// A client that signed the person in by itself refreshes without being registered
	// for that too; for what came through a browser it must be, like everyone.
	if own || slices.Contains(client.Grants, clients.RefreshToken) {
		g.ExpiresAt = now.Add(h.Lives.Grant)
		var err error
		if g.Refresh, err = h.nextRefresh(0, g.ExpiresAt); err != nil {
			return Issued{}, err
		}
		if m.RefreshToken, err = h.signRefresh(g); err != nil {
			return Issued{}, err
		}
	}
	longest, err := h.Rules.longest(ctx, g.Audiences)
	if err != nil {
		return Issued{}, err
	}
	if g.Status, err = h.Indices.ForGrant(ctx, longest); err != nil {
		return Issued{}, err
	}
	if err := h.issue(ctx, g, m); err != nil {
		return Issued{}, err
	}
	told, err := h.toldOf(ctx, g, client, m)
	if err != nil {
		return Issued{}, err
	}
	if err := h.issueID(g, m, code.Nonce, told); err != nil {
		return Issued{}, err
	}
	err = h.Store.RedeemCode(ctx, hash, now, g)
	if errors.Is(err, ErrNotFound) {
		// Another request was faster, or something was cut meanwhile. This one
		// had found the code unused, so it is no replay.
		return Issued{}, errCode(protocol.ReasonOvertaken, "used, expired or cut meanwhile")
	}
	if err != nil {
		return Issued{}, err
	}
	if err := h.stillStands(ctx, g.ID); err != nil {
		return Issued{}, err
	}
	return m.Issued, nil
}
