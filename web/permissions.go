package web

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/web/pages"
	"github.com/ingam/ingam/web/pages/texts"
)

// wording describes permissions in words that people understand.
type wording struct {
	apis *catalog.Catalog
	// grantLife is how long a grant lasts at most.
	grantLife time.Duration
}

// say describes what each permission allows, for a user. Access while the user is away
// comes last, because it is access to all the others.
func (v wording) say(ctx context.Context, text texts.Text, permissions []string, user accounts.User) ([]pages.Permission, error) {
	all := permission.ParseAll(permissions)
	var audiences []string
	for _, of := range all {
		if of.Audience != "" {
			audiences = append(audiences, of.Audience)
		}
	}
	targets, err := v.apis.Several(ctx, audiences)
	if err != nil {
		return nil, err
	}
	var said, last []pages.Permission
	for _, of := range all {
		switch {
		case of.Audience != "":
			said = append(said, ofAPI(text, of, targets))
		case of.Scope == apis.OfflineAccess:
			last = append(last, pages.Permission{Text: text.T("scope offline_access"), Whose: text.With("until taken back", text.Span(v.grantLife))})
		default:
			said = append(said, v.own(text, of.Scope, user))
		}
	}
	return append(said, last...), nil
}

// own describes one of the server's own scopes.
func (v wording) own(text texts.Text, name string, user accounts.User) pages.Permission {
	own := v.apis.Own()
	scope, known := own.Find(name)
	switch further := user.Further(own); {
	case !known:
		return pages.Permission{Text: text.With("scope other", name)}
	case scope.Further:
		if said := text.Of(scope.Texts); said != "" {
			return pages.Permission{Text: said}
		}
		return pages.Permission{Text: text.With("scope further", strings.Join(scope.Claims, ", "))}
	case name == apis.Profile && len(further) > 0:
		return pages.Permission{Text: text.With("scope profile and", strings.Join(further, ", "))}
	}
	whose := map[string]string{apis.OpenID: user.Username, apis.Email: user.Email, apis.Roles: strings.Join(user.RolesForApps(), ", ")}
	return pages.Permission{Text: text.T(texts.Name("scope " + name)), Whose: whose[name]}
}

// ofAPI describes a scope of an API, in the API's own words if it has some.
func ofAPI(text texts.Text, of permission.Permission, targets []apis.API) pages.Permission {
	at := slices.IndexFunc(targets, func(a apis.API) bool { return a.Audience == of.Audience })
	if at < 0 { // the API has been deleted, or never existed
		return pages.Permission{Text: text.With("scope other", of.Scope), Whose: of.Audience, API: of.Audience}
	}
	api := targets[at]
	said := pages.Permission{Text: text.Of(api.ScopeText(of.Scope)), Whose: api.Name + " · " + of.Scope, API: api.Name}
	if said.Text == "" {
		// Names are not unique; the audience is.
		said.Text, said.API = text.With("scope other", of.Scope), api.Name+" · "+of.Audience
		said.Whose = said.API
	}
	return said
}
