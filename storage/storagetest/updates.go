package storagetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/storage"
)

// errEdit is the error with which an edit function refuses.
var errEdit = errors.New("the editor refuses")

// alter runs one of the three updates with an edit function that may change the name of
// the record.
type alter func(s *storage.Store, id string, edit func(name *string) (*audit.Event, error)) error

func (d *databaseTest) alterations() map[changes.Kind]alter {
	return map[changes.Kind]alter{
		changes.API: func(s *storage.Store, id string, edit func(*string) (*audit.Event, error)) error {
			return s.UpdateAPI(d.ctx, id, func(a *apis.API) (*audit.Event, error) { return edit(&a.Name) })
		},
		changes.Client: func(s *storage.Store, id string, edit func(*string) (*audit.Event, error)) error {
			return s.UpdateClient(d.ctx, id, func(c *clients.Client, _ []apis.API) (*audit.Event, error) { return edit(&c.Name) })
		},
		changes.User: func(s *storage.Store, id string, edit func(*string) (*audit.Event, error)) error {
			return s.UpdateUser(d.ctx, id, func(u *accounts.User, _ accounts.Others) (*audit.Event, error) { return edit(&u.Username) })
		},
	}
}

// named reads the name of a record.
func (d *databaseTest) named(kind changes.Kind, id string) string {
	d.Helper()
	switch kind {
	case changes.API:
		list, err := d.other.APIs(d.ctx)
		d.must(err)
		return list[slices.IndexFunc(list, func(a apis.API) bool { return a.Audience == id })].Name
	case changes.Client:
		c, err := d.other.Client(d.ctx, id)
		d.must(err)
		return c.Name
	}
	u, err := d.other.User(d.ctx, id)
	d.must(err)
	return u.Username
}

// one makes a record of each kind, with the same id.
func (d *databaseTest) one(id string) {
	d.Helper()
	d.api(id)
	d.client(id, "secret")
	d.user(id)
}

var updateTests = []test{
	{"an update is one change with one event, and none if nothing changed or it is refused", func(d *databaseTest) {
		d.one("x")
		for kind, update := range d.alterations() {
			before := d.named(kind, "x")
			d.refuses(errEdit, func() error {
				return update(d.s, "x", func(name *string) (*audit.Event, error) { *name = "refused"; return nil, errEdit })
			})
			d.refuses(nil, func() error {
				return update(d.s, "x", func(name *string) (*audit.Event, error) { *name = "no event"; return nil, nil })
			})
			d.equal(d.named(kind, "x"), before)
			ev := event("test", "x")
			d.changes(kind, "x", ev, func() error {
				return update(d.s, "x", func(name *string) (*audit.Event, error) { *name = "ünï 🔑"; return &ev, nil })
			})
			d.equal(d.named(kind, "x"), "ünï 🔑")
		}
	}},
	{"nobody updates what is not there", func(d *databaseTest) {
		d.one("x")
		for kind, update := range d.alterations() {
			want := map[changes.Kind]error{changes.API: catalog.ErrNotFound, changes.Client: clients.ErrNotFound, changes.User: accounts.ErrNotFound}[kind]
			for _, id := range append(notText, "y", "X", "x ", "", strings.Repeat("long", 50_000)) {
				d.refuses(want, func() error {
					return update(d.s, id, func(*string) (*audit.Event, error) { d.Errorf("an editor was called for %.9q", id); return nil, nil })
				})
			}
		}
	}},
	{"what is not text is refused", func(d *databaseTest) {
		d.one("x")
		ev := event("test", "x")
		for kind, update := range d.alterations() {
			want := map[changes.Kind]error{changes.API: apis.ErrInvalid, changes.Client: clients.ErrInvalid, changes.User: accounts.ErrInvalid}[kind]
			before := d.named(kind, "x")
			for _, s := range notText {
				d.refuses(want, func() error {
					return update(d.s, "x", func(name *string) (*audit.Event, error) { *name = s; return &ev, nil })
				})
			}
			d.equal(d.named(kind, "x"), before)
		}
	}},
	{"of editors at once each finds what the others did", func(d *databaseTest) {
		d.one("x")
		for kind, update := range d.alterations() {
			before, number := d.named(kind, "x"), d.number()
			for _, err := range d.atOnce(16, func(i int, s *storage.Store) error {
				return update(s, "x", func(name *string) (*audit.Event, error) {
					*name += string(rune('a' + i))
					ev := event("test", "x")
					return &ev, nil
				})
			}) {
				d.must(err)
			}
			got := []rune(strings.TrimPrefix(d.named(kind, "x"), before))
			slices.Sort(got)
			d.equal(string(got), "abcdefghijklmnop")
			d.equal(d.number(), number+16)
		}
	}},
	{"of editors at once none loses the text that another gives a scope", func(d *databaseTest) {
		d.api("aud")
		want := apis.ScopeTexts{}
		for _, err := range d.atOnce(8, func(i int, s *storage.Store) error {
			return s.UpdateAPI(d.ctx, "aud", func(a *apis.API) (*audit.Event, error) {
				a.SetScopeText(fmt.Sprint(i/2), []string{"en", "ko"}[i%2], "text")
				ev := event(audit.APIUpdated, "aud")
				return &ev, nil
			})
		}) {
			d.must(err)
		}
		for i := range 4 {
			want[fmt.Sprint(i)] = map[string]string{"en": "text", "ko": "text"}
		}
		list, err := d.other.APIs(d.ctx)
		d.must(err)
		d.equal(list[0].ScopeTexts, want)
	}},
	{"an API is updated but for its id and audience", func(d *databaseTest) {
		d.api("aud")
		ev := event(audit.APIUpdated, "aud")
		for _, want := range []apis.API{
			{Name: "name", Scopes: []string{"b", "a"}, AccessTTL: 7 * time.Minute, Roles: true, TokenType: apis.PlainJWT, ScopeTexts: apis.ScopeTexts{"b": {"en": "see <b>", "ko": "보기"}}},
			{ScopeTexts: apis.ScopeTexts{"b": {"en": "see <b>"}, "a": {"ko": "ㄱ"}}, TokenType: apis.ATJWT},
			{TokenType: apis.ATJWT, Signing: apis.Signing{Former: "ES256", From: stored(noon)}},
			{TokenType: apis.ATJWT},
		} {
			d.must(d.s.UpdateAPI(d.ctx, "aud", func(a *apis.API) (*audit.Event, error) {
				*a = want
				a.ID, a.Audience, a.CreatedAt = "another", "another", noon.Add(time.Hour)
				return &ev, nil
			}))
			want.ID, want.Audience, want.CreatedAt = "id of aud", "aud", stored(noon)
			list, err := d.other.APIs(d.ctx)
			d.must(err)
			d.equal(list, []apis.API{want})
		}
	}},
	{"a client is updated but for what tells it apart, and its secrets, state and epoch stay", func(d *databaseTest) {
		for _, a := range []string{"aud-1", "aud-2", "aud-3"} {
			d.must(d.s.CreateAPI(d.ctx, apis.API{ID: a, Audience: a, Scopes: []string{"of " + a}, CreatedAt: noon}, event(audit.APICreated, a)))
		}
		c := clients.Client{
			ID: "a", Name: "a", Grants: []string{"g"}, RedirectURIs: []string{"u"}, Scopes: []string{"s"}, Audiences: []string{"aud-1", "aud-2"},
			Auth: clients.SecretBasic, Disabled: true, Secrets: []clients.Secret{secret("s1", noon), secret("s2", noon.Add(time.Hour))}, CreatedAt: noon,
		}
		d.must(d.s.CreateClient(d.ctx, c, event(audit.ClientCreated, "a")))
		kept, err := d.s.Client(d.ctx, "a")
		d.must(err)
		grace := 3 * time.Second
		ev := event(audit.ClientUpdated, "a")
		for _, want := range []clients.Client{
			{
				Name: "n", Grants: []string{"h", "g"}, RedirectURIs: []string{"v", "u"}, Scopes: []string{"t", "s"}, Audiences: []string{"aud-2", "aud-3", "aud-1"},
				PostLogoutRedirectURIs: []string{"p"}, RefreshGrace: &grace, NoRefreshIDToken: true, FirstParty: true, Hold: clients.HoldCookie, Origins: []string{"o"},
				InsecureRedirects: true, PKCE: clients.PKCEOptional,
			},
			{Audiences: []string{"aud-3"}, PKCE: clients.PKCENonce},
			{PKCE: clients.PKCERequired},
			{Name: "n", Audiences: []string{"aud-1"}, PKCE: clients.PKCERequired},
		} {
			d.must(d.s.UpdateClient(d.ctx, "a", func(c *clients.Client, all []apis.API) (*audit.Event, error) {
				d.equal(len(all), 3)
				d.equal(all[2].Scopes, []string{"of aud-3"})
				*c = want
				c.ID, c.Auth, c.Epoch, c.Secrets, c.CreatedAt = "b", clients.None, 99, []clients.Secret{secret("s3", noon)}, noon.Add(time.Hour)
				return &ev, nil
			}))
			want.ID, want.Auth, want.Disabled, want.Epoch, want.Secrets, want.CreatedAt = kept.ID, kept.Auth, kept.Disabled, kept.Epoch, kept.Secrets, kept.CreatedAt
			got, err := d.other.Client(d.ctx, "a")
			d.must(err)
			d.equal(got, want)
		}
		d.refuses(clients.ErrUnknownAudience, func() error {
			return d.s.UpdateClient(d.ctx, "a", func(c *clients.Client, _ []apis.API) (*audit.Event, error) {
				c.Name, c.Audiences = "lost", []string{"aud-2", "unknown"}
				return &ev, nil
			})
		})
		got, err := d.other.Client(d.ctx, "a")
		d.must(err)
		d.equal([]any{got.Name, got.Audiences}, []any{"n", []string{"aud-1"}})
	}},
	{"a user is updated but for the id, and password, state and epoch stay", func(d *databaseTest) {
		d.user("u")
		d.user("v")
		kept, err := d.s.User(d.ctx, "u")
		d.must(err)
		ev := event(audit.UserUpdated, "u")
		yes := true
		for _, want := range []accounts.User{
			{Username: "new", Email: "new@example.com", EmailVerified: &yes, Roles: []string{"b", "a"}, Claims: accounts.Claims{"locale": json.RawMessage(`"ko"`)}},
			{Username: "n"},
		} {
			d.must(d.s.UpdateUser(d.ctx, "u", func(u *accounts.User, _ accounts.Others) (*audit.Event, error) {
				*u = want
				u.ID, u.Password, u.Disabled, u.Epoch, u.CreatedAt = "w", "other", true, 99, noon.Add(time.Hour)
				return &ev, nil
			}))
			want.ID, want.Password, want.Epoch, want.CreatedAt = kept.ID, kept.Password, kept.Epoch, kept.CreatedAt
			got, err := d.other.User(d.ctx, "u")
			d.must(err)
			d.equal(got, want)
		}
		d.refuses(accounts.ErrExists, func() error {
			return d.s.UpdateUser(d.ctx, "u", func(u *accounts.User, _ accounts.Others) (*audit.Event, error) {
				u.Username = "name of v"
				return &ev, nil
			})
		})
		d.equal(d.named(changes.User, "u"), "n")
	}},
	{"of several that take a user name at once one gets it", func(d *databaseTest) {
		for i := range 8 {
			d.user(fmt.Sprint(i))
		}
		d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
			return s.UpdateUser(d.ctx, fmt.Sprint(i), func(u *accounts.User, _ accounts.Others) (*audit.Event, error) {
				u.Username = "the same"
				ev := event(audit.UserUpdated, u.ID)
				return &ev, nil
			})
		}), accounts.ErrExists)
	}},
	{"an API is not deleted while a client is given it", func(d *databaseTest) {
		d.client("c")
		ev := event(audit.ClientUpdated, "c")
		give := func(s *storage.Store, audiences ...string) error {
			return s.UpdateClient(d.ctx, "c", func(c *clients.Client, _ []apis.API) (*audit.Event, error) { c.Audiences = audiences; return &ev, nil })
		}
		for range 10 {
			d.api("aud")
			errs := d.atOnce(2, func(i int, s *storage.Store) error {
				if i == 0 {
					return s.DeleteAPI(d.ctx, "aud", nil, event(audit.APIDeleted, "aud"))
				}
				return give(s, "aud")
			})
			d.oneWins(errs, catalog.ErrInUse, clients.ErrUnknownAudience)
			if errs[0] != nil {
				d.must(give(d.s))
				d.must(d.s.DeleteAPI(d.ctx, "aud", nil, event(audit.APIDeleted, "aud")))
			}
		}
	}},
	{"what ended stays ended, and what stands stays, when its owners are updated", func(d *databaseTest) {
		g := d.grant("g")
		ev := event("test", "")
		rename := func(name *string) (*audit.Event, error) { *name += "x"; return &ev, nil }
		d.must(d.alterations()[changes.User](d.s, g.UserID, rename))
		d.must(d.alterations()[changes.Client](d.s, g.ClientID, rename))
		d.stands("g", true)
		d.must(d.s.CutUser(d.ctx, g.UserID, ev))
		d.must(d.alterations()[changes.User](d.s, g.UserID, rename))
		d.stands("g", false)
	}},
}
