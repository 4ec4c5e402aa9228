package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/storage"
)

var apiTests = []test{
	{"an API comes back as it was created", func(d *databaseTest) {
		full := apis.API{
			ID: "api-1", Audience: "https://api.example/v1?x=1&y=%20#f", Name: "Ünï \"code\" <b> 'q' \\ 🔑",
			Scopes: []string{"read", "a<b>&c", "read"}, AccessTTL: 5 * time.Minute, TokenType: apis.PlainJWT, CreatedAt: noon,
			Signing:       apis.Signing{Alg: "ES256", Former: "PS256", From: noon},
			EncryptionJWK: `{"kty":"EC"}`,
			ScopeTexts:    apis.ScopeTexts{"read": {"en": "read <b>your</b> \"orders\" & 🔑", "ko": "주문 내역 보기"}, "a<b>&c": {"ko": "x"}},
		}
		plain := apis.API{ID: "api-2", Audience: "a"}
		for _, a := range []apis.API{full, plain} {
			ev := event(audit.APICreated, a.Audience)
			d.changes(changes.API, a.Audience, ev, func() error { return d.s.CreateAPI(d.ctx, a, ev) })
		}
		full.CreatedAt, full.Signing.From, plain.TokenType = stored(full.CreatedAt), stored(noon), apis.ATJWT
		list, err := d.other.APIs(d.ctx)
		d.must(err)
		d.equal(list, []apis.API{plain, full})
	}},
	{"an API with tokens like ID tokens has no client's id as its audience, whichever comes first", func(d *databaseTest) {
		plain := func(audience string) apis.API {
			return apis.API{ID: "of " + audience, Audience: audience, TokenType: apis.PlainJWT}
		}
		d.client("a")
		ev := event(audit.APICreated, "a")
		d.refuses(catalog.ErrIsClient, func() error { return d.s.CreateAPI(d.ctx, plain("a"), ev) })
		d.must(d.s.CreateAPI(d.ctx, apis.API{ID: "x", Audience: "a"}, ev))
		become := func(typ apis.TokenType) error {
			return d.s.UpdateAPI(d.ctx, "a", func(a *apis.API) (*audit.Event, error) { a.TokenType = typ; return &ev, nil })
		}
		d.refuses(catalog.ErrIsClient, func() error { return become(apis.PlainJWT) })
		d.must(d.s.DeleteClient(d.ctx, "a", nil, ev))
		d.must(become(apis.PlainJWT))
		create := func(s *storage.Store, id string) error {
			return s.CreateClient(d.ctx, clients.Client{ID: id, Auth: clients.None}, event(audit.ClientCreated, id))
		}
		d.refuses(clients.ErrIsAudience, func() error { return create(d.s, "a") })
		d.must(become(apis.ATJWT))
		d.must(create(d.s, "a"))
		// Of two that are created at the same time, one exists in the end.
		for i := range 4 {
			id := fmt.Sprint("at once ", i)
			errs := d.atOnce(2, func(i int, s *storage.Store) error {
				if i == 0 {
					return create(s, id)
				}
				return s.CreateAPI(d.ctx, plain(id), ev)
			})
			if (errs[0] == nil) == (errs[1] == nil) || errs[0] != nil && !errors.Is(errs[0], clients.ErrIsAudience) || errs[1] != nil && !errors.Is(errs[1], catalog.ErrIsClient) {
				d.Errorf("%d: %v", i, errs)
			}
		}
	}},
	{"no APIs are none", func(d *databaseTest) {
		list, err := d.s.APIs(d.ctx)
		d.must(err)
		d.equal(len(list), 0)
	}},
	{"audiences are compared and ordered byte by byte", func(d *databaseTest) {
		for _, a := range alike {
			d.api(a)
		}
		list, err := d.s.APIs(d.ctx)
		d.must(err)
		var got []string
		for _, a := range list {
			got = append(got, a.Audience)
		}
		d.equal(got, slices.Sorted(slices.Values(alike)))
		ev := event(audit.APIDeleted, "A")
		d.changes(changes.API, "A", ev, func() error { return d.s.DeleteAPI(d.ctx, "A", nil, ev) })
		list, err = d.s.APIs(d.ctx)
		d.must(err)
		d.equal(len(list), len(alike)-1)
	}},
	{"a taken audience is refused", func(d *databaseTest) {
		d.api("aud")
		d.refuses(catalog.ErrExists, func() error {
			return d.other.CreateAPI(d.ctx, apis.API{ID: "new", Audience: "aud"}, event(audit.APICreated, "aud"))
		})
	}},
	{"an audience is taken in both spellings of an empty path", func(d *databaseTest) {
		for i, c := range [][2]string{{"https://a.example", "https://a.example/"}, {"https://b.example/?x=1", "https://b.example?x=1"}} {
			d.api(c[0])
			d.refuses(catalog.ErrExists, func() error {
				return d.other.CreateAPI(d.ctx, apis.API{ID: fmt.Sprint("new", i), Audience: c[1]}, event(audit.APICreated, c[1]))
			})
		}
		d.api("https://b.example")
	}},
	{"of several that take an audience in two spellings at once one gets it", func(d *databaseTest) {
		d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
			audience := apis.Spellings("https://api.example")[i%2]
			return s.CreateAPI(d.ctx, apis.API{ID: fmt.Sprint(i), Audience: audience}, event(audit.APICreated, audience))
		}), catalog.ErrExists)
	}},
	{"of several that take an audience at once one gets it", func(d *databaseTest) {
		d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
			return s.CreateAPI(d.ctx, apis.API{ID: string(rune('a' + i)), Audience: "aud"}, event(audit.APICreated, "aud"))
		}), catalog.ErrExists)
		d.equal(d.number(), changes.Number(1))
		d.equal(len(d.events()), 1)
	}},
	{"what is not text is refused and not found", func(d *databaseTest) {
		for _, s := range notText {
			d.refuses(apis.ErrInvalid, func() error {
				return d.s.CreateAPI(d.ctx, apis.API{ID: "x", Audience: s}, event(audit.APICreated, ""))
			})
			d.refuses(apis.ErrInvalid, func() error {
				return d.s.CreateAPI(d.ctx, apis.API{ID: "x", Audience: "x", Name: s}, event(audit.APICreated, ""))
			})
			d.refuses(catalog.ErrNotFound, func() error { return d.s.DeleteAPI(d.ctx, s, nil, event(audit.APIDeleted, "")) })
		}
	}},
	{"an API can be deleted, once", func(d *databaseTest) {
		d.api("aud")
		ev := event(audit.APIDeleted, "aud")
		d.changes(changes.API, "aud", ev, func() error { return d.s.DeleteAPI(d.ctx, "aud", nil, ev) })
		d.refuses(catalog.ErrNotFound, func() error { return d.other.DeleteAPI(d.ctx, "aud", nil, ev) })
		d.api("aud")
	}},
	{"an API is deleted if the one that is there may be", func(d *databaseTest) {
		d.api("aud")
		d.must(d.s.UpdateAPI(d.ctx, "aud", func(a *apis.API) (*audit.Event, error) {
			ev := event(audit.APIUpdated, "aud")
			a.Secrets = []apis.Secret{{ID: "s", Sealed: []byte("x"), CreatedAt: noon}}
			return &ev, nil
		}))
		no, ev := errors.New("no"), event(audit.APIDeleted, "aud")
		allow := func(answer error) func(apis.API) error {
			return func(a apis.API) error {
				d.equal(a.ID, "id of aud")
				d.equal(len(a.Secrets), 1)
				return answer
			}
		}
		d.refuses(no, func() error { return d.other.DeleteAPI(d.ctx, "aud", allow(no), ev) })
		d.refuses(catalog.ErrNotFound, func() error { return d.other.DeleteAPI(d.ctx, "other", allow(no), ev) })
		d.changes(changes.API, "aud", ev, func() error { return d.other.DeleteAPI(d.ctx, "aud", allow(nil), ev) })
	}},
	{"the live grants that are for an API are counted", func(d *databaseTest) {
		d.user("u")
		d.session("u", "s")
		d.client("c")
		const audience = `https://a.example/?x=1&y=<a>%20_%`
		for id, audiences := range map[string][]string{
			"alone": {audience}, "among others": {"x", audience, "y"}, "other": {"x"}, "none": nil,
			"longer": {audience + "/"}, "another case": {"HTTPS://A.EXAMPLE/?X=1&Y=<A>%20_%"}, "expired": {audience}, "revoked": {audience},
		} {
			d.granted("s", "c", id, func(g *grants.Grant) {
				if g.Audiences = audiences; id == "expired" {
					g.ExpiresAt = noon.Add(time.Minute)
				}
			})
		}
		d.must(d.s.RevokeGrant(d.ctx, "revoked", event(audit.GrantCut, "revoked")))
		for of, want := range map[string]int64{audience: 2, "x": 2, "y": 1, "https://a.example/": 0, "": 0, "%": 0} {
			ended, err := d.other.WouldEnd(d.ctx, changes.API, of, noon.Add(time.Hour))
			d.must(err)
			if ended.Grants != want || ended.Sessions != 0 {
				d.Errorf("%s: %+v instead of %d", of, ended, want)
			}
		}
	}},
	{"an API that a client names cannot be deleted", func(d *databaseTest) {
		d.api("first")
		d.api("second")
		c := clients.Client{ID: "c", Audiences: []string{"second", "first"}}
		for _, id := range []string{"d", "c"} {
			c.ID = id
			d.must(d.s.CreateClient(d.ctx, c, event(audit.ClientCreated, id)))
		}
		for _, audience := range c.Audiences {
			d.refuses(catalog.ErrInUse, func() error {
				err := d.other.DeleteAPI(d.ctx, audience, nil, event(audit.APIDeleted, audience))
				if s := fmt.Sprint(err); !strings.HasSuffix(s, ": c, d") {
					d.Errorf("it does not name the clients: %s", s)
				}
				return err
			})
		}
		d.must(d.s.DeleteClient(d.ctx, "d", nil, event(audit.ClientDeleted, "d")))
		d.must(d.s.DeleteClient(d.ctx, "c", nil, event(audit.ClientDeleted, "c")))
		d.must(d.s.DeleteAPI(d.ctx, "first", nil, event(audit.APIDeleted, "first")))
	}},
	{"an API that a client is cannot be deleted", func(d *databaseTest) {
		d.api("aud")
		for _, c := range []clients.Client{{ID: "is"}, {ID: "both", Audiences: []string{"aud"}}} {
			c.Introspects = []string{"aud"}
			d.must(d.s.CreateClient(d.ctx, c, event(audit.ClientCreated, c.ID)))
		}
		del := func() error { return d.other.DeleteAPI(d.ctx, "aud", nil, event(audit.APIDeleted, "aud")) }
		named := func(clients string) {
			d.refuses(catalog.ErrInUse, func() error {
				err := del()
				if s := fmt.Sprint(err); !strings.HasSuffix(s, ": "+clients) {
					d.Errorf("it does not name %s: %s", clients, s)
				}
				return err
			})
		}
		named("both, is")
		d.must(d.s.DeleteClient(d.ctx, "both", nil, event(audit.ClientDeleted, "both")))
		named("is")
		ev := event(audit.ClientUpdated, "is")
		give := func(audiences ...string) error {
			return d.s.UpdateClient(d.ctx, "is", func(c *clients.Client, _ []apis.API) (*audit.Event, error) {
				c.Introspects = audiences
				return &ev, nil
			})
		}
		d.refuses(clients.ErrUnknownAudience, func() error { return give("aud", "nobody's") })
		d.must(give())
		d.must(del())
		d.refuses(clients.ErrUnknownAudience, func() error { return give("aud") })
		d.refuses(clients.ErrUnknownAudience, func() error {
			return d.s.CreateClient(d.ctx, clients.Client{ID: "x", Introspects: []string{"aud"}}, event(audit.ClientCreated, "x"))
		})
	}},
	{"an API is not deleted while a client comes to name it", func(d *databaseTest) {
		for range 20 {
			d.api("aud")
			before := d.number()
			errs := d.atOnce(2, func(i int, s *storage.Store) error {
				if i == 0 {
					return s.DeleteAPI(d.ctx, "aud", nil, event(audit.APIDeleted, "aud"))
				}
				return s.CreateClient(d.ctx, clients.Client{ID: "c", Audiences: []string{"aud"}}, event(audit.ClientCreated, "c"))
			})
			d.oneWins(errs, catalog.ErrInUse, clients.ErrUnknownAudience)
			d.equal(d.number(), before+1)
			list, err := d.s.APIs(d.ctx)
			d.must(err)
			_, err = d.s.Client(d.ctx, "c")
			if errs[0] == nil {
				d.equal(len(list), 0)
				d.equal(errors.Is(err, clients.ErrNotFound), true)
				continue
			}
			d.equal(len(list), 1)
			d.must(err)
			d.must(d.s.DeleteClient(d.ctx, "c", nil, event(audit.ClientDeleted, "c")))
			d.must(d.s.DeleteAPI(d.ctx, "aud", nil, event(audit.APIDeleted, "aud")))
		}
	}},
}
