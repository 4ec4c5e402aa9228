package web

import (
	"encoding/json"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/apis"
)

// shared is what several handlers need.
type shared struct {
	cookies        cookies
	browsers       browsers
	screen         screen
	authorizations authorizations
	guard          guard
	owners         owners
	apps           appPages
	// origin is the web origin of the issuer, and base its path.
	origin, base string
}

// handlers are the handlers of all routes. Each has only what it uses.
type handlers struct {
	home            homePage
	authorize       authorizePage
	login           loginPage
	newPassword     newPasswordPage
	link            linkPage
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
	administration  endpoint
}

func newHandlers(p Parts, s shared) handlers {
	set, ends, people, status, process := p.Settings, p.Endpoints, p.People, p.Statuses, p.Process
	wording := wording{p.Clients.Rules.APIs, set.GrantTTL}
	consent := consentPage{ends.Authorization, s.authorizations, s.browsers, s.screen, wording}
	account := accountPage{people.Connected, people.Sessions, s.screen, wording, s.origin}
	login := loginPage{ends.Authorization, s.authorizations, s.browsers, s.screen, people.SignIn}
	signIn := appSignIn{people.SignIn, people.Sessions, s.cookies}
	holders := holders{ends.FirstParty, s.apps}
	refresh := refreshCookies{s.base, set.RefreshTTL}
	return handlers{
		home:            homePage{s.screen},
		authorize:       authorizePage{ends.Authorization, s.authorizations, s.browsers, s.screen, s.guard, consent},
		login:           login,
		newPassword:     newPasswordPage{login},
		link:            linkPage{login},
		consent:         consent,
		logout:          logoutPage{ends.EndSession, s.browsers, s.screen, s.guard},
		account:         account,
		accountSessions: accountSessions{account, people.Sessions},
		accountApps:     accountApps{account, people.Consents},
		accountPassword: accountPassword{account, s.browsers, s.screen, people.SignIn},
		language:        languagePage{s.screen, s.cookies},
		assets:          assets{people.Pages, s.base},
		appLogin:        appLogin{ends.FirstParty, p.Clients.Rules, s.apps, signIn, s.cookies, refresh},
		appRefresh:      appRefresh{ends.FirstParty, holders, people.SignIn, s.cookies, refresh, s.base},
		appLogout:       appLogout{ends.FirstParty, holders, refresh},
		challenge:       challenge{ends.Authorization, ends.FirstParty, s.apps, signIn},
		oauth:           oauth{p.Clients.Authenticator, ends.Introspection, ends.Revocation, ends.UserInfo, ends.Token},
		jwks:            jwks{process.Keys, process.Watcher, set.JWKSMaxAge},
		statuses:        statuses{status, process.Observer, set.RequestTimeout, process.Now},
		ready:           ready{process.Health, process.Watcher, status.Lists},
		administration:  administrators{p}.handler(s.base),
	}
}

// table returns all routes. The metadata comes last, because it is made from the routes
// that it announces.
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
	return append(routes, documents(document{metadata, typeJSON})...), nil
}
