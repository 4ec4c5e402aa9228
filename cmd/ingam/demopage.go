package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/ingam/ingam/authz"
)

// demoPath is where the demonstration's own app is.
const demoPath = "/demo"

// demoPage is the demonstration's app: a client of the server like any other,
// which signs a person in and shows what it gets.
func demoPage(issuer string) map[string]http.Handler {
	at, err := url.Parse(issuer)
	if err != nil {
		panic(err) // it was checked
	}
	app := demoClientApp{
		issuer: issuer,
		config: oauth2.Config{
			ClientID: demoApp, RedirectURL: issuer + demoPath, Scopes: []string{"openid", "profile", "email", "read"},
			Endpoint: oauth2.Endpoint{AuthURL: issuer + authz.PathAuthorize, TokenURL: issuer + authz.PathToken, AuthStyle: oauth2.AuthStyleInParams},
		},
	}
	return map[string]http.Handler{"GET " + strings.TrimSuffix(at.Path, "/") + demoPath: http.HandlerFunc(app.serve)}
}

type demoClientApp struct {
	issuer string
	config oauth2.Config
}

// demoCookie holds the PKCE verifier and the state while the person is away.
const demoCookie = "ingam_demo"

func (d demoClientApp) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	query := r.URL.Query()
	switch {
	case query.Has("start"):
		state, verifier := rand.Text(), oauth2.GenerateVerifier()
		http.SetCookie(w, &http.Cookie{Name: demoCookie, Value: state + "." + verifier, Path: r.URL.Path, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, d.config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), http.StatusSeeOther)
	case query.Has("code") || query.Has("error"):
		view, err := d.finish(r.Context(), r, query)
		if err != nil {
			view = demoView{Problem: err.Error()}
		}
		d.show(w, view)
	default:
		d.show(w, demoView{})
	}
}

// demoView is what is shown.
type demoView struct {
	Problem string
	Tokens  []demoToken
	Logout  string
}

type demoToken struct{ Name, About, Header, Claims string }

// finish redeems the code, as any client does.
func (d demoClientApp) finish(ctx context.Context, r *http.Request, query url.Values) (demoView, error) {
	if code := query.Get("error"); code != "" {
		return demoView{}, errors.New(code + ": " + query.Get("error_description"))
	}
	cookie, err := r.Cookie(demoCookie)
	if err != nil {
		return demoView{}, errors.New("this sign-in was not begun in this browser")
	}
	state, verifier, _ := strings.Cut(cookie.Value, ".")
	// The state binds the answer to this browser (RFC 6749 section 10.12), iss
	// to this server (RFC 9207).
	if query.Get("state") != state || query.Get("iss") != d.issuer {
		return demoView{}, errors.New("this is the answer to another sign-in")
	}
	token, err := d.config.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return demoView{}, err
	}
	id, _ := token.Extra("id_token").(string)
	return demoView{
		Tokens: []demoToken{
			decoded("ID token", "who signed in, for this app", id),
			decoded("Access token", "for the API: anyone can check it with the published keys", token.AccessToken),
			decoded("Refresh token", "for this app and the server alone: its key is published nowhere", token.RefreshToken),
		},
		Logout: d.issuer + authz.PathLogout + "?" + url.Values{"id_token_hint": {id}, "post_logout_redirect_uri": {d.config.RedirectURL}}.Encode(),
	}, nil
}

func decoded(name, about, token string) demoToken {
	t := demoToken{Name: name, About: about}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return t
	}
	pretty := func(part string) string {
		b, err := base64.RawURLEncoding.DecodeString(part)
		var out bytes.Buffer
		if err != nil || json.Indent(&out, b, "", "  ") != nil {
			return "cannot be read"
		}
		return out.String()
	}
	t.Header, t.Claims = pretty(parts[0]), pretty(parts[1])
	return t
}

var demoTemplate = template.Must(template.New("demo").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ingam demonstration</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem }
pre { overflow: auto; padding: .75rem; border: 1px solid #8886; border-radius: .5rem; font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere }
.go { display: inline-block; padding: .7rem 1.1rem; border-radius: .5rem; background: #a3231d; color: #fff; text-decoration: none; font-weight: 600 }
</style></head><body>
<h1>A demonstration app</h1>
{{with .Problem}}<p role="alert"><strong>That did not work:</strong> {{.}}</p>{{end}}
{{if .Tokens}}<p>Signed in. These are the tokens that the app got:</p>
{{range .Tokens}}<h2>{{.Name}}</h2><p>{{.About}}</p><pre>{{.Header}}
{{.Claims}}</pre>{{end}}
<p><a class="go" href="{{.Logout}}">Sign out</a></p>{{else}}
<p>This page is a client of the server that it stands beside. It sends you there to sign in, and shows the tokens that it gets for it.</p>
<p><a class="go" href="?start=1">Sign in</a></p>{{end}}
</body></html>
`))

func (d demoClientApp) show(w http.ResponseWriter, view demoView) {
	var body bytes.Buffer
	if err := demoTemplate.Execute(&body, view); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(body.Bytes())
}
