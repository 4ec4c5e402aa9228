package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/web"
	"github.com/ingam/ingam/web/pages"
	"github.com/ingam/ingam/web/pages/texts"
)

// demoPath is the path of the demonstration's app.
const demoPath = "/demo"

// besideDemo serves the demonstration's app next to the server. The app is a client
// like any other: it signs a person in and shows the tokens that it gets. It looks like
// the server's pages, with a name of its own.
func besideDemo(cfg *config.Config, server http.Handler) (http.Handler, error) {
	issuer := cfg.Issuer.String()
	shown, err := newPages(cfg, demoAppName)
	if err != nil {
		return nil, err
	}
	app := demoClientApp{
		issuer: issuer, pages: shown,
		config: oauth2.Config{
			ClientID: demoApp, RedirectURL: issuer + demoPath, Scopes: []string{"openid", "profile", "email", "read"},
			Endpoint: oauth2.Endpoint{AuthURL: issuer + web.PathAuthorize, TokenURL: issuer + web.PathToken, AuthStyle: oauth2.AuthStyleInParams},
		},
	}
	mux := http.NewServeMux()
	mux.Handle("/", server)
	mux.HandleFunc("GET "+cfg.Issuer.Path()+demoPath, app.serve)
	return mux, nil
}

type demoClientApp struct {
	issuer string
	config oauth2.Config
	pages  *pages.Pages
}

// demoCookie stores the PKCE verifier and the state while the person is at the
// authorization endpoint.
const demoCookie = "ingam_demo"

func (d demoClientApp) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	show := func(view pages.Demo) {
		d.pages.Write(w, pages.Shown{Text: texts.For("", "", r.Header.Get("Accept-Language"))}, http.StatusOK, view)
	}
	query := r.URL.Query()
	switch {
	case query.Has("start"):
		state, verifier := rand.Text(), oauth2.GenerateVerifier()
		http.SetCookie(w, &http.Cookie{Name: demoCookie, Value: state + "." + verifier, Path: r.URL.Path, HttpOnly: true, SameSite: http.SameSiteLaxMode})
		http.Redirect(w, r, d.config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier)), http.StatusSeeOther)
	case query.Has("code") || query.Has("error"):
		view, err := d.finish(r.Context(), r, query)
		if err != nil {
			view = pages.Demo{Problem: err.Error()}
		}
		show(view)
	default:
		show(pages.Demo{})
	}
}

// finish redeems the code, as any client does.
func (d demoClientApp) finish(ctx context.Context, r *http.Request, query url.Values) (pages.Demo, error) {
	cookie, err := r.Cookie(demoCookie)
	if err != nil {
		return pages.Demo{}, errors.New("this sign-in was not begun in this browser")
	}
	state, verifier, _ := strings.Cut(cookie.Value, ".")
	// The state binds the answer to this browser (RFC 6749 section 10.12), and iss to
	// this server (RFC 9207). This holds for errors too: otherwise the page would show
	// text that the author of a link chose.
	if query.Get("state") != state || query.Get("iss") != d.issuer {
		return pages.Demo{}, errors.New("this is the answer to another sign-in")
	}
	if code := query.Get("error"); code != "" {
		return pages.Demo{}, errors.New(code + ": " + query.Get("error_description"))
	}
	token, err := d.config.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return pages.Demo{}, err
	}
	id, _ := token.Extra("id_token").(string)
	return pages.Demo{
		ID:      decoded(id),
		Access:  decoded(token.AccessToken),
		Refresh: decoded(token.RefreshToken),
		Logout:  d.issuer + web.PathLogout + "?" + url.Values{"id_token_hint": {id}, "post_logout_redirect_uri": {d.config.RedirectURL}}.Encode(),
	}, nil
}

func decoded(token string) (t pages.Token) {
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
