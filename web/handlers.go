package web

import (
	"encoding/json"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/apis"
)

// shared is what several handlers use.
type shared struct {
	cookies        cookies
	browsers       browsers
	screen         screen
	authorizations authorizations
	guard          guard
	owners         owners
	apps           appPages
	// origin is the issuer's, and base its path.
	origin, base string
}

// handlers are all that the table of routes has. Each holds what it uses and no more.
type handlers struct {
	home            homePage
	authorize       authorizePage
	login           loginPage
	consent         consentPage
	logout          logoutPage
	account         accountPage
	accountSessions accountSessions
	accountApps     accountApps
	accountPassword accountPassword
	language        languagePage
	assets          assets
	appLogin        appLogin
	appRefresh      appRefresh
	appLogout       appLogout
	challenge       challenge
	oauth           oauth
	jwks            jwks
	statuses        statuses
	ready           ready
}

func newHandlers(p Parts, s shared) handlers {
	wording := wording{p.Rules.APIs, p.GrantTTL}
	consent := consentPage{p.Authorization, s.authorizations, s.browsers, s.screen, wording}
	account := accountPage{p.Connected, p.Sessions, s.screen, wording, s.origin}
	signIn := appSignIn{p.SignIn, p.Sessions, s.cookies}
	holders := holders{p.FirstParty, s.apps}
	refresh := refreshCookies{s.base, p.RefreshTTL}
	return handlers{
		home:            homePage{s.screen},
		authorize:       authorizePage{p.Authorization, s.authorizations, s.browsers, s.screen, s.guard, consent},
		login:           loginPage{p.Authorization, s.authorizations, s.browsers, s.screen, p.SignIn},
		consent:         consent,
		logout:          logoutPage{p.EndSession, s.browsers, s.screen, s.guard},
		account:         account,
		accountSessions: accountSessions{account, p.Sessions},
		accountApps:     accountApps{account, p.Consents},
		accountPassword: accountPassword{account, s.browsers, s.screen, p.SignIn},
		language:        languagePage{s.screen, s.cookies},
		assets:          assets{p.Pages, s.base},
		appLogin:        appLogin{p.FirstParty, p.Rules, s.apps, signIn, s.cookies, refresh},
		appRefresh:      appRefresh{p.FirstParty, holders, p.SignIn, s.cookies, refresh, s.base},
		appLogout:       appLogout{p.FirstParty, holders, refresh},
		challenge:       challenge{p.Authorization, p.FirstParty, s.apps, signIn},
		oauth:           oauth{p.Clients, p.Introspection, p.Revocation, p.UserInfo, p.Engine},
		jwks:            jwks{p.Keys, p.Watcher, p.JWKSMaxAge},
		statuses:        statuses{p.StatusEvents, p.Listeners, p.Lists, p.Stream, p.Listening, p.Observer, p.RequestTimeout, p.Now},
		ready:           ready{p.Health, p.Watcher, p.Lists},
	}
}

// table returns all routes. The metadata is made of those that it announces, and
// comes last.
func (h handlers) table(issuer string, own *apis.Own) ([]route, error) {
	var announced authz.Endpoints
	routes := h.routes(&announced)
	for _, r := range routes {
		if r.announced != nil {
			*r.announced = issuer + r.path
		}
	}
	metadata, err := json.Marshal(authz.NewMetadata(issuer, announced, own))
	if err != nil {
		return nil, err
	}
	return append(routes, documents(document{metadata, "application/json"})...), nil
}
