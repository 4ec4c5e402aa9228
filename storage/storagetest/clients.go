package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/storage"
)

var clientTests = []test{
	{"a client comes back as it was created", func(d *databaseTest) {
		for _, a := range []string{"aud-1", "aud-2", "aud-3", "aud-4"} {
			d.api(a)
		}
		full := clients.Client{
			ID: "'; DROP TABLE clients; --\\", Name: "Ünï \"code\" <b> 'q' \\ 🔑",
			Grants:       []string{"client_credentials", "refresh_token"},
			RedirectURIs: []string{"https://app.example/cb?a=1&b=%20", "http://127.0.0.1/cb"},
			Scopes:       []string{"write", "read"},
			Audiences:    []string{"aud-3", "aud-1", "aud-2"},
			Introspects:  []string{"aud-2", "aud-4"},
			Auth:         clients.SecretPost, FirstParty: true, InsecureRedirects: true, Disabled: true,
			PostLogoutRedirectURIs: []string{"https://app.example/bye"}, NoRefreshIDToken: true, NoIDTokenClaims: true, PKCE: clients.PKCENonce,
			Hold: clients.HoldCookie, Origins: []string{"https://app.example"},
			IDTokenSigning: apis.Signing{Alg: "EdDSA", From: stored(noon)},
			Epoch:          99, // the caller cannot choose it
			// Secrets are returned oldest first, although the younger one is
			// first here.
			Secrets:   []clients.Secret{secret("s1", noon.Add(time.Hour)), secret("s2", noon)},
			CreatedAt: noon.In(time.FixedZone("elsewhere", 3600)),
		}
		plain := clients.Client{ID: "a", Auth: clients.None, PKCE: clients.PKCERequired}
		for _, c := range []*clients.Client{&full, &plain} {
			ev := event(audit.ClientCreated, c.ID)
			d.changes(changes.Client, c.ID, ev, func() error { return d.s.CreateClient(d.ctx, *c, ev) })
			c.Epoch = d.number()
		}
		full.CreatedAt = stored(full.CreatedAt)
		slices.Reverse(full.Secrets)
		for i := range full.Secrets {
			full.Secrets[i].CreatedAt = stored(full.Secrets[i].CreatedAt)
		}
		for _, want := range []clients.Client{full, plain} {
			got, err := d.other.Client(d.ctx, want.ID)
			d.must(err)
			d.equal(got, want)
		}
		all, err := d.other.Clients(d.ctx)
		d.must(err)
		d.equal(all, []clients.Client{full, plain})
	}},
	{"no clients are none", func(d *databaseTest) {
		all, err := d.s.Clients(d.ctx)
		d.must(err)
		d.equal(len(all), 0)
	}},
	{"ids are compared and ordered byte by byte", func(d *databaseTest) {
		for _, id := range alike {
			d.client(id, "secret")
		}
		all, err := d.s.Clients(d.ctx)
		d.must(err)
		var got []string
		for _, c := range all {
			got = append(got, c.ID)
		}
		d.equal(got, slices.Sorted(slices.Values(alike)))
		d.must(d.s.SetClientDisabled(d.ctx, "a ", true, event(audit.ClientDisabled, "a ")))
		for _, id := range alike {
			c, err := d.s.Client(d.ctx, id)
			d.must(err)
			d.equal(c.ID, id)
			d.equal(c.Disabled, id == "a ")
			d.equal(len(c.Secrets), 1)
		}
		for _, id := range []string{"a  ", "", "aa", "À"} {
			d.refuses(clients.ErrNotFound, func() error { _, err := d.s.Client(d.ctx, id); return err })
		}
	}},
	{"a client that nobody made is not found", func(d *databaseTest) {
		d.client("a", "s")
		for _, id := range append(notText, "b", strings.Repeat("long", 50_000)) {
			ev := event("test", "b")
			for name, call := range map[string]func() error{
				"Client":             func() error { _, err := d.s.Client(d.ctx, id); return err },
				"SetClientDisabled":  func() error { return d.s.SetClientDisabled(d.ctx, id, true, ev) },
				"DeleteClient":       func() error { return d.s.DeleteClient(d.ctx, id, nil, ev) },
				"AddClientSecret":    func() error { return d.s.AddClientSecret(d.ctx, id, secret("x", noon), ev) },
				"RemoveClientSecret": func() error { return removeSecret(d, d.s, id, "s", ev) },
				"the older":          func() error { return removeSecret(d, d.s, id, "", ev) },
			} {
				if err := call(); !errors.Is(err, clients.ErrNotFound) {
					d.Errorf("%s: %v", name, err)
				}
			}
		}
		d.equal(d.number(), changes.Number(1))
	}},
	{"what is not text is refused", func(d *databaseTest) {
		for _, s := range notText {
			for _, c := range []clients.Client{{ID: s}, {ID: "x", Name: s}} {
				d.refuses(clients.ErrInvalid, func() error { return d.s.CreateClient(d.ctx, c, event(audit.ClientCreated, "")) })
			}
			d.refuses(clients.ErrUnknownAudience, func() error {
				return d.s.CreateClient(d.ctx, clients.Client{ID: "x", Audiences: []string{s}}, event(audit.ClientCreated, ""))
			})
		}
	}},
	{"a taken id is refused", func(d *databaseTest) {
		d.client("a", "s")
		d.refuses(clients.ErrExists, func() error {
			return d.other.CreateClient(d.ctx, clients.Client{ID: "a"}, event(audit.ClientCreated, "a"))
		})
	}},
	{"of several that take an id at once one gets it", func(d *databaseTest) {
		d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
			return s.CreateClient(d.ctx, clients.Client{ID: "a", Name: fmt.Sprint(i)}, event(audit.ClientCreated, "a"))
		}), clients.ErrExists)
		d.equal(d.number(), changes.Number(1))
	}},
	{"an unknown audience is named, and leaves nothing behind", func(d *databaseTest) {
		d.api("known")
		c := clients.Client{ID: "a", Audiences: []string{"known", "unknown"}, Secrets: []clients.Secret{secret("s", noon)}}
		var message string
		d.refuses(clients.ErrUnknownAudience, func() error {
			err := d.s.CreateClient(d.ctx, c, event(audit.ClientCreated, "a"))
			message = fmt.Sprint(err)
			return err
		})
		if !strings.Contains(message, `"unknown"`) {
			d.Fatalf("the error is %q", message)
		}
		d.refuses(clients.ErrNotFound, func() error { _, err := d.s.Client(d.ctx, "a"); return err })
		d.must(d.s.DeleteAPI(d.ctx, "known", nil, event(audit.APIDeleted, "known")))
	}},
	{"an audience matches byte by byte", func(d *databaseTest) {
		d.api("a")
		for _, audience := range []string{"A", "a ", "á", ""} {
			d.refuses(clients.ErrUnknownAudience, func() error {
				return d.s.CreateClient(d.ctx, clients.Client{ID: "c", Audiences: []string{audience}}, event(audit.ClientCreated, "c"))
			})
		}
	}},
	{"a client is disabled and enabled", func(d *databaseTest) {
		d.client("a")
		for _, disabled := range []bool{true, false} {
			action := map[bool]audit.Action{true: audit.ClientDisabled, false: audit.ClientEnabled}[disabled]
			kind := map[bool]changes.Kind{true: changes.Client, false: changes.Enabled}[disabled]
			ev := event(action, "a")
			set := func() error { return d.s.SetClientDisabled(d.ctx, "a", disabled, ev) }
			d.changes(kind, "a", ev, set)
			c, err := d.other.Client(d.ctx, "a")
			d.must(err)
			d.equal(c.Disabled, disabled)
			d.equal(c.Epoch, changes.Number(1))
			// The client is so already: no change, no event.
			d.refuses(nil, set)
		}
	}},
	{"several that disable a client at once make one change", func(d *databaseTest) {
		d.client("a")
		for _, err := range d.atOnce(8, func(_ int, s *storage.Store) error {
			return s.SetClientDisabled(d.ctx, "a", true, event(audit.ClientDisabled, "a"))
		}) {
			d.must(err)
		}
		d.equal(d.number(), changes.Number(2))
		d.equal(len(d.events()), 2)
	}},
	{"a deleted client takes its secrets along, and its id comes back with a higher epoch", func(d *databaseTest) {
		d.api("aud")
		c := clients.Client{ID: "a", Audiences: []string{"aud"}, Secrets: []clients.Secret{secret("s", noon)}}
		d.must(d.s.CreateClient(d.ctx, c, event(audit.ClientCreated, "a")))
		ev := event(audit.ClientDeleted, "a")
		d.changes(changes.Client, "a", ev, func() error { return d.other.DeleteClient(d.ctx, "a", nil, ev) })
		d.refuses(clients.ErrNotFound, func() error { return d.s.DeleteClient(d.ctx, "a", nil, ev) })
		d.refuses(clients.ErrNotFound, func() error { _, err := d.s.Client(d.ctx, "a"); return err })
		d.client("a")
		again, err := d.s.Client(d.ctx, "a")
		d.must(err)
		d.equal(again.Epoch, d.number())
		d.equal(len(again.Secrets)+len(again.Audiences), 0)
		d.must(d.s.DeleteAPI(d.ctx, "aud", nil, event(audit.APIDeleted, "aud")))
	}},
}

var secretTests = []test{
	{"the last use of a secret is noted, and is no change", func(d *databaseTest) {
		d.client("a", "s1", "s2")
		before, hour := d.number(), stored(noon).Truncate(time.Hour)
		for _, used := range []time.Time{hour.Add(time.Hour), hour} { // the later one stays
			d.must(d.s.NoteSecretUses(d.ctx, map[clients.SecretRef]time.Time{{ClientID: "a", ID: "s2"}: used, {ClientID: "a", ID: "gone"}: used, {ClientID: "gone", ID: "s1"}: used}))
		}
		c, err := d.other.Client(d.ctx, "a")
		d.must(err)
		if !c.Secrets[0].UsedAt.IsZero() || !c.Secrets[1].UsedAt.Equal(hour.Add(time.Hour)) || d.number() != before {
			d.Errorf("%v, %v", c.Secrets[0].UsedAt, c.Secrets[1].UsedAt)
		}
	}},
	{"a second secret is added, a third is not", func(d *databaseTest) {
		d.client("a", "s1")
		ev := event(audit.ClientSecretAdded, "a")
		// It counts as the younger one because it was added later, although its own
		// time is earlier.
		s2 := secret("s2", noon.Add(-time.Hour))
		d.changes(changes.Client, "a", ev, func() error { return d.s.AddClientSecret(d.ctx, "a", s2, ev) })
		d.refuses(clients.ErrTooManySecrets, func() error {
			return d.other.AddClientSecret(d.ctx, "a", secret("s3", noon), ev)
		})
		d.equal(d.secrets("a"), []string{"s1", "s2"})
		d.refuses(clients.ErrTooManySecrets, func() error {
			three := []clients.Secret{secret("1", noon), secret("2", noon), secret("3", noon)}
			return d.s.CreateClient(d.ctx, clients.Client{ID: "b", Secrets: three}, event(audit.ClientCreated, "b"))
		})
	}},
	{"a secret is added to a client that has none", func(d *databaseTest) {
		d.client("a")
		d.must(d.s.AddClientSecret(d.ctx, "a", secret("s", noon), event(audit.ClientSecretAdded, "a")))
		c, err := d.s.Client(d.ctx, "a")
		d.must(err)
		want := secret("s", noon)
		want.CreatedAt = stored(noon)
		d.equal(c.Secrets, []clients.Secret{want})
	}},
	{"the named secret is removed", func(d *databaseTest) {
		d.client("a", "s1", "s2")
		ev := event(audit.ClientSecretRemoved, "a")
		for _, id := range []string{"s3", "S2", "s2 "} {
			d.refuses(clients.ErrSecretNotFound, func() error { return removeSecret(d, d.s, "a", id, ev) })
		}
		ev.Details = map[string]string{"secret_id": "s2", "secret_added": "2026-03-01T12:00:01Z"}
		d.changes(changes.Client, "a", ev, func() error {
			removed, err := d.s.RemoveClientSecret(d.ctx, "a", "s2", audit.Event{At: ev.At, Actor: ev.Actor, Action: ev.Action, Subject: "a", Reason: ev.Reason})
			d.equal(removed, clients.Secret{ID: "s2", CreatedAt: stored(noon.Add(time.Second))})
			return err
		})
		d.equal(d.secrets("a"), []string{"s1"})
	}},
	{"no name means the older secret", func(d *databaseTest) {
		d.client("a", "z")
		d.must(d.s.AddClientSecret(d.ctx, "a", secret("b", noon.Add(-time.Hour)), event(audit.ClientSecretAdded, "a")))
		ev := event(audit.ClientSecretRemoved, "a")
		ev.Details["secret_id"], ev.Details["secret_added"] = "z", "2026-03-01T12:00:00Z"
		d.changes(changes.Client, "a", ev, func() error { return removeSecret(d, d.s, "a", "", ev) })
		d.equal(d.secrets("a"), []string{"b"})
	}},
	{"the last secret stays", func(d *databaseTest) {
		d.client("a", "s")
		for _, id := range []string{"s", ""} {
			d.refuses(clients.ErrLastSecret, func() error {
				return removeSecret(d, d.s, "a", id, event(audit.ClientSecretRemoved, "a"))
			})
		}
		d.equal(d.secrets("a"), []string{"s"})
	}},
	{"a client without secrets has none to remove", func(d *databaseTest) {
		d.client("a")
		for _, id := range []string{"s", ""} {
			d.refuses(clients.ErrSecretNotFound, func() error {
				return removeSecret(d, d.s, "a", id, event(audit.ClientSecretRemoved, "a"))
			})
		}
	}},
	{"several that add a secret at once do not make three", func(d *databaseTest) {
		d.client("a", "s")
		d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
			return s.AddClientSecret(d.ctx, "a", secret(fmt.Sprint(i), noon), event(audit.ClientSecretAdded, "a"))
		}), clients.ErrTooManySecrets)
		d.equal(len(d.secrets("a")), 2)
		d.equal(len(d.events()), 2)
	}},
	{"several that remove a secret at once do not remove both", func(d *databaseTest) {
		for round := range 5 {
			id := fmt.Sprint("client ", round)
			d.client(id, "s0", "s1")
			d.oneWins(d.atOnce(8, func(i int, s *storage.Store) error {
				name := []string{"s0", "s1", "", ""}[i/2]
				return removeSecret(d, s, id, name, event(audit.ClientSecretRemoved, id))
			}), clients.ErrLastSecret, clients.ErrSecretNotFound)
			d.equal(len(d.secrets(id)), 1)
		}
	}},
	{"secrets are added and removed at once without harm", func(d *databaseTest) {
		d.client("a", "s")
		for i, err := range d.atOnce(24, func(i int, s *storage.Store) error {
			if i%4 < 2 {
				return s.AddClientSecret(d.ctx, "a", secret(fmt.Sprint(i), noon), event(audit.ClientSecretAdded, "a"))
			}
			return removeSecret(d, s, "a", "", event(audit.ClientSecretRemoved, "a"))
		}) {
			if err != nil && !errors.Is(err, clients.ErrTooManySecrets) && !errors.Is(err, clients.ErrLastSecret) {
				d.Errorf("%d: %v", i, err)
			}
		}
		if n := len(d.secrets("a")); n < 1 || n > clients.MaxSecrets {
			d.Fatalf("%d secrets", n)
		}
		d.equal(len(d.events()), int(d.number()))
	}},
}

// secrets returns the ids of a client's secrets, the oldest first.
func (d *databaseTest) secrets(client string) []string {
	d.Helper()
	c, err := d.other.Client(d.ctx, client)
	d.must(err)
	var ids []string
	for _, s := range c.Secrets {
		ids = append(ids, s.ID)
	}
	return ids
}

func removeSecret(d *databaseTest, s *storage.Store, client, id string, ev audit.Event) error {
	_, err := s.RemoveClientSecret(d.ctx, client, id, ev)
	return err
}
