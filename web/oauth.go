package web

import (
	"net/http"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/engine"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
)

// oauth has the endpoints to which clients post forms.
type oauth struct {
	clients       *clients.Authenticator
	introspection *authz.Introspector
	revocation    *authz.Revoker
	userInfos     *authz.UserInfo
	engine        *engine.Engine
}

// tokenResponse is a successful answer of the token endpoint (RFC 6749 section
// 5.1).
type tokenResponse struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	// ExpiresIn is in seconds.
	ExpiresIn int64  `json:"expires_in"`
	Scope     string `json:"scope,omitempty"`

	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
}

// tokenType says how an access token is presented (RFC 6750).
const tokenType = "Bearer"

func wholeSeconds(d time.Duration) int64 { return int64(d / time.Second) }

// token is the token endpoint (RFC 6749 section 3.2).
func (o oauth) token(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	rec := recordOf(r)
	grantType := r.PostForm.Get("grant_type")
	if grantType == "" {
		return protocol.Refuse(protocol.InvalidRequest, "The parameter grant_type is missing.")
	}
	client, err := o.clients.Authenticate(r.Context(), presented(r, r.PostForm))
	if err != nil {
		return err
	}
	rec.clientID = client.ID
	issued, err := o.engine.Token(r.Context(), grants.Request{Client: client, GrantType: grantType, Parameters: r.PostForm})
	if err != nil {
		return err
	}
	rec.grantType, rec.issued = grantType, grantType
	writeJSON(w, http.StatusOK, tokenResponse{
		AccessToken: issued.AccessToken, TokenType: tokenType, ExpiresIn: wholeSeconds(issued.ExpiresIn()), Scope: issued.Scope(),
		RefreshToken: issued.RefreshToken, IDToken: issued.IDToken,
	})
	return nil
}

// typeIntrospection is the media type of an introspection answer that is a JWT (RFC 9701).
const typeIntrospection = "application/token-introspection+jwt"

// introspect is the introspection endpoint (RFC 7662). Whoever asks for a JWT gets one.
func (o oauth) introspect(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	answer, err := o.introspection.Introspect(r.Context(), presented(r, r.PostForm), r.PostForm.Get("token"))
	recordOf(r).clientID = answer.Caller
	if err != nil {
		return err
	}
	if !parseAccept(r.Header.Values("Accept")).asks(typeIntrospection, typeJSON) {
		writeJSON(w, http.StatusOK, answer)
		return nil
	}
	signed, err := o.introspection.Signed(answer)
	if err != nil {
		return err
	}
	writeUnkept(w, http.StatusOK, typeIntrospection, []byte(signed))
	return nil
}

// revoke is the revocation endpoint (RFC 7009).
func (o oauth) revoke(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	caller, err := o.revocation.Revoke(r.Context(), presented(r, r.PostForm), r.PostForm.Get("token"))
	recordOf(r).clientID = caller
	if err != nil {
		return err
	}
	unkept(w.Header())
	w.WriteHeader(http.StatusOK)
	return nil
}

// userInfo is the UserInfo endpoint (OpenID Connect Core 1.0 section 5.3). The token
// comes in the header or, in a POST, in the form (RFC 6750 sections 2.1 and 2.2).
func (o oauth) userInfo(w http.ResponseWriter, r *http.Request) error {
	// Of two headers, a proxy may have checked the one that is not read here.
	if len(r.Header.Values("Authorization")) > 1 {
		return bearerError{error: protocol.Refuse(protocol.InvalidRequest, "There is more than one Authorization header.")}
	}
	scheme, token := authorizationHeader(r)
	if scheme != "bearer" {
		token = ""
	}
	// A body of another type is ignored: some clients add one to every POST.
	if r.Method == http.MethodPost && isForm(r) {
		if err := parseForm(r); err != nil {
			return bearerError{error: err}
		}
		if inForm := r.PostForm.Get("access_token"); inForm != "" {
			if token != "" {
				return bearerError{error: protocol.Refuse(protocol.InvalidRequest, "The access token comes in two ways (RFC 6750 section 2).")}
			}
			token = inForm
		}
	}
	if token == "" {
		return bearerError{protocol.Refuse(protocol.InvalidToken, "There is no access token."), true}
	}
	claims, client, err := o.userInfos.Claims(r.Context(), token)
	recordOf(r).clientID = client
	if err != nil {
		return bearerError{error: err}
	}
	writeJSON(w, http.StatusOK, claims)
	return nil
}
