package grants_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/storage/storagetest"
)

const issuer = "https://id.test"

// rulesWith returns the rules for some APIs. Each is written as its name and its scopes;
// its audience is the name.
func rulesWith(t *testing.T, offers ...string) *grants.Rules {
	t.Helper()
	store := storagetest.New(t, storagetest.Engines()[0])
	catalog := catalog.New(store, ownScopes(t), time.Now, nil)
	for _, offer := range offers {
		name, scopes, _ := strings.Cut(offer, ": ")
		// Not through the catalog, which refuses the server's own scopes: these
		// APIs were registered before.
		err := store.CreateAPI(t.Context(), apis.API{ID: name, Audience: name, Name: name, Scopes: strings.Fields(scopes)}, audit.Event{})
		if err != nil {
			t.Fatal(err)
		}
	}
	return &grants.Rules{APIs: catalog, Issuer: issuer, AccessTTL: time.Minute, Now: time.Now}
}

// ownScopes returns the server's own scopes, and one of its configuration.
func ownScopes(t *testing.T) *apis.Own {
	t.Helper()
	own, err := apis.NewOwn(apis.OwnScope{Name: "badge", Claims: []string{"badge_number"}})
	if err != nil {
		t.Fatal(err)
	}
	return own
}

// decided returns a decision as these tests write it: "audiences: permissions", or the
// error's code.
func decided(t *testing.T, d grants.Decision, err error) string {
	t.Helper()
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return string(refused.Code)
	}
	if err != nil {
		t.Fatal(err)
	}
	var scopes []string
	for _, p := range d.Permissions {
		if len(scopes) == 0 || scopes[len(scopes)-1] != p.Scope {
			scopes = append(scopes, p.Scope)
		}
	}
	if diff := cmp.Diff(d.Scopes, scopes); diff != "" {
		t.Errorf("the scopes are not those of the permissions: %s", diff)
	}
	return strings.Join(d.Audiences, " ") + ": " + strings.Join(permission.Texts(d.Permissions), ", ")
}

func registered(scopes string, audiences ...string) *clients.Client {
	return &clients.Client{ID: "app", Scopes: strings.Fields(scopes), Audiences: audiences}
}

func TestScopesChooseTheAPIsThatOfferThem(t *testing.T) {
	t.Parallel()
	rules := rulesWith(t, "a: read a", "b: read write b", "c: write c", "other: secret", "early: phone badge openid email")
	three := registered("openid read a write b c", "a", "b", "c")
	for _, c := range []struct {
		client          *clients.Client
		scope, resource string
		lenient, strict string
	}{
		{three, "", "", "a: openid, a read, a a", ""},
		{three, "openid", "", "a: openid", ""},
		{three, "a", "", "a: a a", ""},
		{three, "c", "", "c: c c", ""},
		{three, "openid c a", "", "a c: openid, c c, a a", ""},
		{three, "read", "", "a: a read", ""},                            // the first of several APIs
		{three, "write", "", "b: b write", ""},                          // not the client's first API here
		{three, "read b", "", "b: b read, b b", ""},                     // no further API for a scope that a chosen API offers
		{three, "write a", "", "a b: b write, a a", ""},                 // unless no chosen API offers it
		{three, "write b c", "", "b c: b write, c write, b b, c c", ""}, // and then every API that offers it
		{three, "read", "b", "b: b read", ""},
		{three, "read", "a b", "a b: a read, b read", ""},
		{three, "", "c", "c: openid, c write, c c", ""},
		{three, "read", "c", "invalid_scope", ""},
		{three, "openid read", "c", "c: openid", "invalid_scope"},
		{three, "read", "other", "invalid_target", ""},
		{three, "read", "d", "invalid_target", ""},
		{three, "read", issuer, "invalid_target", ""},
		// Unknown scopes, and scopes that the client may not use.
		{three, "read groups", "", "a: a read", "invalid_scope"},
		{three, "groups read phone roles", "", "a: a read", "invalid_scope"},
		{three, "openid profile", "", "a: openid", "invalid_scope"},
		{three, "read secret", "", "a: a read", "invalid_scope"},
		{three, "READ a", "", "a: a a", "invalid_scope"},
		{three, "groups", "", "invalid_scope", ""},
		{three, "secret profile", "", "invalid_scope", ""},
		{three, `re"ad a`, "", "invalid_scope", ""},
		// A client without an API.
		{registered("openid email"), "openid groups", "", issuer + ": openid", "invalid_scope"},
		{registered("openid old"), "", "", issuer + ": openid, " + issuer + " old", ""},
		{registered(""), "", "", issuer + ": ", ""},
		{registered("", "a"), "", "", "a: ", ""},
		// The server's own scopes. An API that offered the newer ones earlier keeps
		// them.
		{registered("openid phone address roles badge"), "phone badge roles openid address", "", issuer + ": phone, badge, roles, openid, address", ""},
		{registered("openid phone badge read", "a"), "phone badge read", "", "a: phone, badge, a read", ""},
		{registered("openid phone roles badge email", "early"), "phone badge roles openid email", "", "early: early phone, early badge, roles, openid, email", ""},
		{registered("openid phone a", "a", "early"), "openid phone", "", "early: openid, early phone", ""},
		{registered("openid phone a", "a", "early"), "openid phone", "a", "a: openid", "invalid_scope"},
		// An API that no longer offers a scope of the client.
		{registered("gone", "a"), "gone", "", "invalid_scope", ""},
		{registered("gone read", "a"), "", "", "a: a read", ""},
	} {
		for _, lenient := range []bool{true, false} {
			want := c.lenient
			if !lenient && c.strict != "" {
				want = c.strict
			}
			allowed, err := rules.Registered(t.Context(), c.client)
			if err != nil {
				t.Fatal(err)
			}
			allowed.Lenient = lenient
			d, err := rules.Decide(allowed, map[string][]string{"resource": strings.Fields(c.resource)}, c.scope)
			if got := decided(t, d, err); got != want {
				t.Errorf("scope %q, resource %q, lenient %t: %q, want %q", c.scope, c.resource, lenient, got, want)
			}
			if n := len(strings.Fields(c.scope)) - len(d.Scopes); err == nil && c.scope != "" && d.LeftOut != n {
				t.Errorf("scope %q: %d left out, want %d", c.scope, d.LeftOut, n)
			}
		}
	}
}

func TestWhatIsRefusedIsNamedToTheClientAndNotInTheLog(t *testing.T) {
	t.Parallel()
	rules := rulesWith(t, "a: read", "b: write")
	allowed, err := rules.Registered(t.Context(), registered("read write", "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	for scope, resource := range map[string]string{"read pasted": "", "read write": "a", strings.Repeat("x", 1000): ""} {
		_, err := rules.Decide(allowed, map[string][]string{"audience": strings.Fields(resource)}, scope)
		var refused *protocol.Error
		if !errors.As(err, &refused) {
			t.Fatalf("%q: %v", scope, err)
		}
		last := scope[strings.LastIndex(scope, " ")+1:]
		if !strings.Contains(refused.Description, "'"+last[:min(len(last), 100)]+"'") || len(refused.Description) > 200 {
			t.Errorf("%q is told: %s", scope, refused.Description)
		}
		if number := fmt.Sprintf("number %d ", len(strings.Fields(scope))); strings.Contains(err.Error(), last) || !strings.Contains(err.Error(), number) {
			t.Errorf("%q is logged: %v", scope, err)
		}
	}
}

func TestWhatIsLeftOfAGrant(t *testing.T) {
	t.Parallel()
	// b has begun to offer read, which was allowed at a.
	rules := rulesWith(t, "a: read a", "b: read write", "c: c", "early: phone")
	recorded := func(audiences string, permissions ...string) permission.Granted {
		g := permission.Granted{Audiences: strings.Fields(audiences), Permissions: []permission.Permission{}}
		for _, text := range permissions {
			p := permission.Parse(text)
			g.Scopes, g.Permissions = append(g.Scopes, p.Scope), append(g.Permissions, p)
		}
		return g
	}
	old := func(audiences, scopes string) permission.Granted {
		return permission.Granted{Audiences: strings.Fields(audiences), Scopes: strings.Fields(scopes)}
	}
	one, both := recorded("a", "openid", "a read", "a a"), recorded("a b", "openid", "a read", "b write")
	all := registered("openid read a write c", "a", "b", "c")
	for what, c := range map[string]struct {
		client          *clients.Client
		granted         permission.Granted
		scope, resource string
		want            string
	}{
		"all of it":                 {all, one, "", "", "a: openid, a read, a a"},
		"a part of it":              {all, one, "read", "", "a: a read"},
		"more than it":              {all, one, "write", "", "invalid_scope"},
		"an API that is not in it":  {all, one, "", "b", "invalid_target"},
		"a scope less":              {registered("openid a", "a"), one, "", "", "a: openid, a a"},
		"that scope":                {registered("openid a", "a"), one, "read", "", "invalid_scope"},
		"a scope that the API lost": {all, recorded("a", "a read", "a gone"), "", "", "a: a read"},
		"an API less":               {registered("openid read a", "b"), one, "", "", issuer + ": openid"},
		"that API":                  {registered("openid read a", "b"), one, "", "a", "invalid_target"},
		"no scope":                  {registered("write", "a", "b"), one, "", "", "invalid_grant"},
		"no API":                    {registered("read a", "b"), one, "", "", "invalid_grant"},
		"another order":             {registered("a read openid", "c", "b", "a"), one, "", "", "a: openid, a read, a a"},
		"an API without a scope":    {registered("openid read", "a"), recorded("a"), "", "", "a: "},
		"no API and no scope":       {registered("openid read", "b"), recorded("a"), "", "", "invalid_grant"},
		"no API, as ever":           {registered("openid"), recorded(issuer, "openid"), "", "", issuer + ": openid"},
		"an API since":              {all, recorded(issuer, "openid"), "", "", issuer + ": openid"},
		"a scope of no API":         {registered("openid own"), recorded(issuer, "openid", issuer+" own"), "", "", issuer + ": openid, " + issuer + " own"},

		// A scope that an API began to offer later is not allowed there: not when
		// that API is asked for alone, and not together with the API where the
		// scope was allowed.
		"what came later":            {all, both, "read", "b", "invalid_scope"},
		"all but what came later":    {all, both, "", "b", "b: openid, b write"},
		"where it was allowed":       {all, both, "", "a", "a: openid, a read"},
		"both, which is not clear":   {all, both, "", "", "a b: openid, b write"},
		"what is not clear, by name": {all, both, "read", "", "invalid_scope"},
		"what is clear, by name":     {all, both, "write", "", "a b: b write"},
		"allowed at both":            {all, recorded("a b", "a read", "b read"), "", "", "a b: a read, b read"},
		"both named":                 {all, recorded("a b", "a read", "b read"), "read", "a b", "a b: a read, b read"},

		// A scope of the server does not become a scope of an API, nor the reverse.
		"its own phone":                  {registered("openid phone", "a"), recorded("a", "openid", "phone"), "", "", "a: openid, phone"},
		"its own phone, the API's since": {registered("openid phone", "early"), recorded("early", "openid", "phone"), "", "", "early: openid"},
		"the API's phone":                {registered("openid phone", "early"), recorded("early", "openid", "early phone"), "", "", "early: openid, early phone"},
		"the API's phone, gone since":    {registered("openid phone", "a"), recorded("a", "openid", "a phone"), "", "", "a: openid"},
		"an old one's phone":             {registered("openid phone", "early"), old("early", "openid phone"), "", "", "early: openid, early phone"},
		"an old one's phone, gone since": {registered("openid phone", "a"), old("a", "openid phone"), "", "", "a: openid"},

		// Grants of versions that did not record permissions.
		"an old one":                  {all, old("a b", "openid read write"), "", "", "a b: openid, a read, b read, b write"},
		"an old one, for one of two":  {all, old("a b", "openid read write"), "", "a", "a: openid, a read"},
		"an old one, a scope less":    {registered("openid write", "a", "b"), old("a b", "openid read write"), "", "", "a b: openid, b write"},
		"an old one, for no API":      {registered("openid own"), old(issuer, "openid own"), "", "", issuer + ": openid, " + issuer + " own"},
		"an old one, the API deleted": {registered("openid gone"), old("gone", "openid gone"), "", "", issuer + ": openid"},
		"an old one, its scope gone":  {registered("openid gone", "a"), old("a", "gone"), "", "", "invalid_grant"},
		"an old one without a scope":  {registered("openid read", "a"), old("a", ""), "", "", "a: "},
		"an old one, nothing left":    {registered("x", "c"), old("a", "openid read"), "", "", "invalid_grant"},
	} {
		t.Run(what, func(t *testing.T) {
			left, err := rules.Left(t.Context(), c.client, c.granted)
			var d grants.Decision
			if err == nil {
				d, err = rules.Decide(left, map[string][]string{"resource": strings.Fields(c.resource)}, c.scope)
			}
			if got := decided(t, d, err); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsLeftOfAToken(t *testing.T) {
	t.Parallel()
	// b has begun to offer read, which was allowed at a; gone was offered once.
	rules := rulesWith(t, "a: read a", "b: read write")
	all := registered("openid read a write gone", "a", "b")
	for what, c := range map[string]struct {
		client            *clients.Client
		audiences, scopes string
		// recorded are the permissions of the token's grant, separated by commas. A
		// token that a client has for itself has no grant.
		recorded string
		want     string
	}{
		"all of it":                        {all, "a", "openid read a", "openid,a read,a a", "a: openid read a"},
		"a part of its grant":              {all, "a", "read", "openid,a read,b write", "a: read"},
		"a scope that the client lost":     {registered("openid a", "a", "b"), "a", "openid read a", "openid,a read,a a", "a: openid a"},
		"a scope that the API lost":        {all, "a", "read gone", "a read,a gone", "a: read"},
		"an API that the client lost":      {registered("openid read a write", "b"), "a b", "openid a write", "openid,a a,b write", "b: openid write"},
		"its only API":                     {registered("openid read a", "b"), "a", "openid a", "openid,a a", ": openid"},
		"all of its scopes":                {registered("write", "a", "b"), "a b", "read a", "a read,a a", ": "},
		"what another API offers now":      {all, "a b", "read write", "a read,b write", "a b: write"},
		"a token without a scope":          {all, "a", "", "", "a: "},
		"for no API":                       {registered("openid"), issuer, "openid", "openid", issuer + ": openid"},
		"for no API, one since":            {all, issuer, "openid", "openid", issuer + ": openid"},
		"a client's own":                   {all, "a", "read a", "", "a: read a"},
		"a client's own, a scope less":     {registered("a", "a"), "a", "read a", "", "a: a"},
		"a client's own, no scope":         {registered("write", "a", "b"), "a", "read a", "", ": "},
		"a client's own, an API less":      {registered("read write", "b"), "a b", "read write", "", "b: read write"},
		"a client's own, no API":           {registered("read", "b"), "a", "read", "", ": "},
		"a client's own, without a scope":  {registered("", "a"), "a", "", "", "a: "},
		"a client's own, of no API at all": {registered("own"), issuer, "own", "", issuer + ": own"},
		"a client's own, of no API, lost":  {registered("other"), issuer, "own", "", ": "},
	} {
		t.Run(what, func(t *testing.T) {
			of := permission.Granted{Audiences: strings.Fields(c.audiences), Scopes: strings.Fields(c.scopes)}
			if c.recorded != "" {
				of.Permissions = permission.ParseAll(strings.Split(c.recorded, ","))
			}
			audiences, scopes, err := rules.LeftOf(t.Context(), c.client, of)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(audiences, " ") + ": " + strings.Join(scopes, " "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatWasGivenAMomentAgoIsNotMissingBecauseACopyInMemoryIsOlder(t *testing.T) {
	t.Parallel()
	store := storagetest.New(t, storagetest.Engines()[0])
	ctx, always := t.Context(), func() bool { return true }
	operators := catalog.New(store, ownScopes(t), time.Now, nil)
	create := func(audience string, scopes ...string) {
		t.Helper()
		if _, err := operators.Create(ctx, apis.API{Audience: audience, Name: audience, Scopes: scopes}, "", "test"); err != nil {
			t.Fatal(err)
		}
	}
	create("a", "read")
	writing := clients.NewRegistry(store, operators, time.Now, nil, clients.PKCERequired)
	_, _, err := writing.Create(ctx, clients.Client{
		ID: "app", Name: "App", Grants: []string{clients.ClientCredentials}, Auth: clients.SecretBasic, Audiences: []string{"a"}, Scopes: []string{"read"},
	}, "", "", "test")
	if err != nil {
		t.Fatal(err)
	}
	// The server has its copies, and is never told of a change.
	catalog := catalog.New(store, ownScopes(t), time.Now, always)
	if err := catalog.Follow(ctx, nil); err != nil {
		t.Fatal(err)
	}
	registry := clients.NewRegistry(store, catalog, time.Now, always, clients.PKCERequired)
	copied, err := registry.Client(ctx, "app")
	if err != nil {
		t.Fatal(err)
	}
	rules := &grants.Rules{APIs: catalog, Clients: registry, Issuer: issuer, AccessTTL: time.Minute, Now: time.Now}

	create("b", "write")
	if _, _, err := operators.Update(ctx, "a", func(a *apis.API) error { a.Scopes = append(a.Scopes, "more"); return nil }, "", "test"); err != nil {
		t.Fatal(err)
	}
	_, _, err = writing.Update(ctx, "app", func(c *clients.Client) error {
		c.Audiences, c.Scopes = []string{"a", "b"}, []string{"read", "more", "write"}
		return nil
	}, "", "test")
	if err != nil {
		t.Fatal(err)
	}
	for recorded, want := range map[string]string{
		"a read":                "a: read",
		"a read,a more":         "a: read more",
		"b write":               "b: write",
		"a read,b write":        "a b: read write",
		"a read,a never":        "a: read",
		"b never":               ": ",
		"a read,a more,b write": "a b: read more write",
	} {
		of := permission.Granted{Permissions: permission.ParseAll(strings.Split(recorded, ","))}
		for _, p := range of.Permissions {
			of.Scopes = append(of.Scopes, p.Scope)
			if !slices.Contains(of.Audiences, p.Audience) {
				of.Audiences = append(of.Audiences, p.Audience)
			}
		}
		audiences, scopes, err := rules.LeftOf(ctx, copied, of)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(audiences, " ") + ": " + strings.Join(scopes, " "); got != want {
			t.Errorf("%s: %q, want %q", recorded, got, want)
		}
	}
}

func TestOneTokenIsOfOneType(t *testing.T) {
	t.Parallel()
	rules := rulesWith(t, "a: read", "b: write")
	if _, _, err := rules.APIs.Update(t.Context(), "b", func(a *apis.API) error { a.TokenType = apis.PlainJWT; return nil }, "", "test"); err != nil {
		t.Fatal(err)
	}
	both := registered("openid read write", "a", "b")
	for _, c := range []struct {
		scope, resource, want string
		typ                   apis.TokenType
	}{
		{"read", "", "a: a read", apis.ATJWT},
		{"write", "", "b: b write", apis.PlainJWT},
		{"read write", "", "invalid_target", ""},
		{"read write", "a b", "invalid_target", ""},
		{"", "b", "b: openid, b write", apis.PlainJWT},
	} {
		allowed, err := rules.Registered(t.Context(), both)
		if err != nil {
			t.Fatal(err)
		}
		d, err := rules.Decide(allowed, map[string][]string{"resource": strings.Fields(c.resource)}, c.scope)
		if got := decided(t, d, err); got != c.want || d.TokenType != c.typ {
			t.Errorf("%q at %q: %s, type %q", c.scope, c.resource, got, d.TokenType)
		}
		// A sign-in may be for both APIs; its tokens are for one at a time.
		allowed.Lenient = true
		if d, err := rules.Decide(allowed, nil, "read write"); decided(t, d, err) != "a b: a read, b write" {
			t.Errorf("%+v %v", d, err)
		}
	}
}
