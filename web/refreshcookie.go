package web

import (
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
)

// refreshCookies hold the refresh tokens of apps that run in browsers.
type refreshCookies struct {
	// base is the issuer's path.
	base string
	// life is for how long a browser keeps one.
	life time.Duration
}

// refreshCookie is how the names of the cookies begin that hold refresh tokens:
// with __Secure-, no page without TLS can plant one.
const refreshCookie = "__Secure-ingam_refresh_"

// refreshCookieOf names a client's: two apps may share a browser. (A client id may
// hold what a cookie's name must not.)
func refreshCookieOf(client string) string {
	sum := sha256.Sum256([]byte(client))
	return refreshCookie + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

// set gives a browser a refresh token for as long as age; a negative age takes it away.
func (c refreshCookies) set(w http.ResponseWriter, name, token string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: token, Path: c.base + "/token", MaxAge: int(age / time.Second),
		HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
	})
}

// answer gives an app what it gets.
func (c refreshCookies) answer(w http.ResponseWriter, client *clients.Client, t grants.Issued, device string) {
	p := pair{t.AccessToken, t.RefreshToken, tokenType, wholeSeconds(t.ExpiresIn()), t.Scope(), t.IDToken, device}
	if client.Hold == clients.HoldCookie {
		c.set(w, refreshCookieOf(client.ID), t.RefreshToken, c.life)
		p.RefreshToken = ""
	}
	writeJSON(w, http.StatusOK, p)
}

// pair is what an app gets.
type pair struct {
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken,omitempty"`
	TokenType    string `json:"tokenType"`
	ExpiresIn    int64  `json:"expiresIn"`
	Scope        string `json:"scope"`
	IDToken      string `json:"idToken,omitempty"`
	// DeviceToken is what an app that keeps its tokens itself sends along when its
	// user signs in again: by it the user is told from strangers who guess the
	// password, as a browser is by a cookie.
	DeviceToken string `json:"deviceToken,omitempty"`
}
