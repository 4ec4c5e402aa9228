package web

import (
	"crypto/sha256"
	"encoding/base32"
	"net/http"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
)

// refreshCookies reads and sets the cookies that contain the refresh tokens of apps in
// browsers.
type refreshCookies struct {
	// base is the issuer's path.
	base string
	// life is how long a browser keeps such a cookie.
	life time.Duration
}

// refreshCookie is the prefix of the names of these cookies: with __Secure-, no page
// without TLS can plant one.
const refreshCookie = "__Secure-ingam_refresh_"

// refreshCookieOf returns the name of a client's cookie, since two apps may share a
// browser. (It is encoded, because a client id may contain characters that a cookie's
// name must not.)
func refreshCookieOf(client string) string {
	sum := sha256.Sum256([]byte(client))
	return refreshCookie + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

// set gives a browser a refresh token for the time age; a negative age deletes it.
func (c refreshCookies) set(w http.ResponseWriter, name, token string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: token, Path: c.base + "/token", MaxAge: int(age / time.Second),
		HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
	})
}

// answer sends an app its tokens.
func (c refreshCookies) answer(w http.ResponseWriter, client *clients.Client, t grants.Issued, device string) {
	p := pair{t.AccessToken, t.RefreshToken, tokenType, wholeSeconds(t.ExpiresIn()), t.Scope(), t.IDToken, device}
	if client.Hold == clients.HoldCookie {
		c.set(w, refreshCookieOf(client.ID), t.RefreshToken, c.life)
		p.RefreshToken = ""
	}
	writeJSON(w, http.StatusOK, p)
}

// pair is the tokens that a first-party app gets, as JSON.
type pair struct {
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken,omitempty"`
	TokenType    string `json:"tokenType"`
	ExpiresIn    int64  `json:"expiresIn"`
	Scope        string `json:"scope"`
	IDToken      string `json:"idToken,omitempty"`
	// DeviceToken is for apps that store their tokens themselves. The app sends it when
	// its user signs in again; like the device cookie of a browser, it distinguishes
	// the user from strangers who guess the password.
	DeviceToken string `json:"deviceToken,omitempty"`
}
