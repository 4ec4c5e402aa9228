package storagetest

import (
	"errors"
	"strings"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/keys"
)

// secretsOf sets the secrets of an API.
func (d *databaseTest) secretsOf(audience string, secrets ...apis.Secret) error {
	ev := event(audit.APISecretAdded, audience)
	return d.s.UpdateAPI(d.ctx, audience, func(a *apis.API) (*audit.Event, error) { a.Secrets = secrets; return &ev, nil })
}

// shared returns the secrets of all APIs, as the other process reads them.
func (d *databaseTest) shared() map[string][]apis.Secret {
	d.Helper()
	list, err := d.other.APIs(d.ctx)
	d.must(err)
	all := map[string][]apis.Secret{}
	for _, a := range list {
		all[a.Audience] = a.Secrets
	}
	return all
}

var apiSecretTests = []test{
	{"the secrets of an API come back as they were stored, oldest first, and never what is shown of them", func(d *databaseTest) {
		first := apis.Secret{ID: "z", Sealed: []byte("\x00sealed\xff"), Signs: true, CreatedAt: stored(noon), Shown: "secret"}
		second := apis.Secret{ID: "a", Sealed: []byte("2"), CreatedAt: stored(noon.Add(1e9))}
		ev := event(audit.APICreated, "aud")
		d.changes(changes.API, "aud", ev, func() error {
			return d.s.CreateAPI(d.ctx, apis.API{ID: "1", Audience: "aud", Secrets: []apis.Secret{first}}, ev)
		})
		d.api("other")
		first.Shown = ""
		d.equal(d.shared(), map[string][]apis.Secret{"aud": {first}, "other": nil})
		d.must(d.secretsOf("aud", first, second))
		d.equal(d.shared()["aud"], []apis.Secret{first, second})
		first.Signs, second.Signs = false, true
		d.must(d.secretsOf("aud", first, second))
		d.equal(d.shared()["aud"], []apis.Secret{first, second})
		d.must(d.secretsOf("aud", second))
		d.equal(d.shared(), map[string][]apis.Secret{"aud": {second}, "other": nil})
		// An edit of something else leaves them.
		d.must(d.s.UpdateAPI(d.ctx, "aud", func(a *apis.API) (*audit.Event, error) { a.Name = "n"; return &ev, nil }))
		d.equal(d.shared()["aud"], []apis.Secret{second})
	}},
	{"an edit that is refused leaves the secrets", func(d *databaseTest) {
		d.api("aud")
		d.refuses(errEdit, func() error {
			return d.s.UpdateAPI(d.ctx, "aud", func(a *apis.API) (*audit.Event, error) {
				a.Secrets = []apis.Secret{{ID: "a", Sealed: []byte("1")}}
				return nil, errEdit
			})
		})
		d.equal(len(d.shared()["aud"]), 0)
	}},
	{"an API takes its secrets along", func(d *databaseTest) {
		d.api("aud")
		d.api("other")
		d.must(d.secretsOf("aud", apis.Secret{ID: "a", Sealed: []byte("1")}, apis.Secret{ID: "b", Sealed: []byte("1")}))
		d.must(d.secretsOf("other", apis.Secret{ID: "c", Sealed: []byte("1")}))
		d.must(d.s.DeleteAPI(d.ctx, "aud", nil, event(audit.APIDeleted, "aud")))
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM api_secrets"), 1)
		d.api("aud")
		d.equal(len(d.shared()["aud"]), 0)
		shares, err := d.s.SharesSecrets(d.ctx)
		d.must(err)
		d.equal(shares, true)
		d.must(d.s.DeleteAPI(d.ctx, "other", nil, event(audit.APIDeleted, "other")))
		shares, err = d.s.SharesSecrets(d.ctx)
		d.must(err)
		d.equal(shares, false)
	}},
	{"a token of a secret stands as long as the secret does", func(d *databaseTest) {
		d.api("aud")
		d.must(d.s.CreateClient(d.ctx, clients.Client{ID: "c", Auth: clients.None}, event(audit.ClientCreated, "c")))
		stands := func() bool {
			d.Helper()
			st, err := d.other.Standing(d.ctx, revocation.Question{JTI: "j", ClientID: "c", KeyID: "a"})
			d.must(err)
			ofGrant, err := d.other.Standing(d.ctx, revocation.Question{JTI: "j", ClientID: "c", KeyID: "a", GrantID: "g", UserID: "u"})
			d.must(err)
			d.equal(ofGrant.KeyStands, st.KeyStands)
			return st.KeyStands
		}
		d.equal(stands(), false)
		d.must(d.secretsOf("aud", apis.Secret{ID: "a", Sealed: []byte("1")}))
		d.equal(stands(), true)
		d.must(d.secretsOf("aud"))
		d.equal(stands(), false)
	}},
	{"all secrets are sealed anew, or none", func(d *databaseTest) {
		ev := event(audit.APISecretsResealed, "")
		seal := func(s keys.SharedSecret) (keys.SharedSecret, error) {
			s.Sealed = []byte(strings.ToUpper(string(s.Sealed)) + s.API)
			return s, nil
		}
		n, err := d.s.ReshareSecrets(d.ctx, ev, seal)
		d.must(err)
		d.equal(n, 0)
		d.must(d.s.CreateAPI(d.ctx, apis.API{ID: "1", Audience: "aud", Secrets: []apis.Secret{{ID: "a", Sealed: []byte("x")}, {ID: "b", Sealed: []byte("y"), Signs: true}}}, event(audit.APICreated, "aud")))
		broken := errors.New("cannot be opened")
		d.refuses(broken, func() error {
			_, err := d.s.ReshareSecrets(d.ctx, ev, func(s keys.SharedSecret) (keys.SharedSecret, error) {
				if s.KID == "b" {
					return s, broken
				}
				return seal(s)
			})
			return err
		})
		d.equal(string(d.shared()["aud"][0].Sealed), "x")
		d.changes(changes.API, "", ev, func() error {
			n, err = d.s.ReshareSecrets(d.ctx, ev, seal)
			return err
		})
		d.equal(n, 2)
		got := d.shared()["aud"]
		d.equal([]string{string(got[0].Sealed), string(got[1].Sealed)}, []string{"X1", "Y1"})
		d.equal(got[1].Signs, true)
	}},
}
