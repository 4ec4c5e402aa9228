package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/storage"
)

// clientsOf returns the administration of the clients in a store.
func (d *databaseTest) clientsOf(s *storage.Store) *administration.Clients {
	d.Helper()
	_, ofClients := administered(d, s)
	return ofClients
}

func administered(t testing.TB, s *storage.Store) (*administration.APIs, *administration.Clients) {
	t.Helper()
	own, err := apis.NewOwn()
	if err != nil {
		t.Fatal(err)
	}
	c, cuts := catalog.New(s, own, time.Now, nil), revocation.NewCuts(s, time.Now)
	registry := clients.NewRegistry(s, c, time.Now, nil, clients.PKCERequired)
	return administration.NewAPIs(c, registry, cuts), administration.NewClients(registry, c, cuts, "")
}

// NewApply returns what applies files to a store.
func NewApply(t testing.TB, s *storage.Store) *administration.Apply {
	t.Helper()
	ofAPIs, ofClients := administered(t, s)
	users := administration.NewUsers(accounts.NewUsers(s, nil, time.Now), revocation.NewCuts(s, time.Now), administration.IDTokens{Own: ofAPIs.Own()})
	return administration.NewApply(s, ofAPIs, ofClients, users)
}

var editingTests = []test{
	{"of a thousand editors at once one wins each version, and nothing is lost", func(d *databaseTest) {
		const editors = 1000
		by := administration.Operator(audit.Operator("test"))
		begin := clients.Client{ID: "a", Auth: clients.None}
		name := "N"
		_, _, err := d.clientsOf(d.s).Create(d.ctx, by, begin, administration.ClientSettings{Name: &name}, "", "")
		d.must(err)
		was, is := make([]string, editors), make([]string, editors)
		errs := d.atOnce(editors, func(i int, s *storage.Store) error {
			all := d.clientsOf(s)
			c, err := all.Get(d.ctx, "a")
			if err != nil {
				return err
			}
			name := fmt.Sprint("N", i)
			was[i] = c.Version()
			c, _, err = all.Update(d.ctx, by, "a", was[i], administration.ClientSettings{Name: &name}, "")
			is[i] = c.Version()
			return err
		})
		next := map[string]string{}
		for i, err := range errs {
			switch {
			case err == nil:
				if next[was[i]] != "" {
					d.Errorf("two editors changed the same version")
				}
				next[was[i]] = is[i]
			case !errors.Is(err, administration.ErrStale):
				d.Fatalf("editor %d: %v", i, err)
			}
		}
		begin.Name, begin.PKCE = "N", clients.PKCERequired
		c, err := d.clientsOf(d.other).Get(d.ctx, "a")
		d.must(err)
		at, steps := begin.Version(), 0
		for ; next[at] != ""; steps++ {
			at = next[at]
		}
		if at != c.Version() || steps != len(next) || steps == 0 {
			d.Errorf("%d changes were made, of which %d follow each other", len(next), steps)
		}
		d.equal(Count(d, d.url, "SELECT COUNT(*) FROM audit_events WHERE action = 'client.update'"), steps)
	}},
	{"of several applications at once one makes what there is to make", func(d *databaseTest) {
		d.must(d.s.CreateUser(d.ctx, accounts.User{ID: "u", Username: "u", CreatedAt: noon}, event(audit.UserCreated, "u")))
		const appliers = 6
		by := administration.Operator(audit.Operator("test"))
		plans := make([]administration.Plan, appliers)
		for _, err := range d.atOnce(appliers, func(i int, s *storage.Store) (err error) {
			plans[i], err = NewApply(d, s).Apply(d.ctx, by, Filed(), true, "", "")
			return err
		}) {
			d.must(err)
		}
		made := slices.DeleteFunc(plans, func(p administration.Plan) bool { return len(p.Steps) == 0 })
		if len(made) != 1 || len(made[0].Steps) != 3 {
			d.Errorf("%+v", made)
		}
		// Of two with the plan of before, the second is told.
		twice := Filed()
		name := "B"
		twice.Clients[0].Name = &name
		plan, err := NewApply(d, d.s).Apply(changes.DryRun(d.ctx), by, twice, true, "", "")
		d.must(err)
		d.oneWins(d.atOnce(2, func(_ int, s *storage.Store) error {
			_, err := NewApply(d, s).Apply(d.ctx, by, twice, true, plan.Version(), "")
			return err
		}), administration.ErrOtherPlan)
	}},
	{"two who hold a role do not take it from each other at once", func(d *databaseTest) {
		ev := event(audit.UserUpdated, "")
		take := func(s *storage.Store, id string) error {
			return s.UpdateUser(d.ctx, id, func(u *accounts.User, others accounts.Others) (*audit.Event, error) {
				u.Roles = nil
				return &ev, unlessLast(*u, others)
			})
		}
		disable := func(s *storage.Store, id string) error { return s.SetUserDisabled(d.ctx, id, true, unlessLast, ev) }
		remove := func(s *storage.Store, id string) error { return s.DeleteUser(d.ctx, id, unlessLast, ev) }
		for i, acts := range [][2]func(*storage.Store, string) error{{take, take}, {disable, disable}, {remove, take}, {take, disable}} {
			ids := []string{fmt.Sprint("one ", i), fmt.Sprint("two ", i)}
			for _, id := range ids {
				d.holder(id, "boss")
			}
			d.oneWins(d.atOnce(2, func(j int, s *storage.Store) error { return acts[j](s, ids[j]) }), errLast)
			for _, id := range ids { // who is left is none of the next pair
				if err := d.s.DeleteUser(d.ctx, id, nil, ev); err != nil && !errors.Is(err, accounts.ErrNotFound) {
					d.Fatal(err)
				}
			}
		}
	}},
}

// Filed is what a file says: an API, a client and an administrator, who is the user u.
func Filed() administration.Desired {
	name, scopes, audiences, types := "A", []string{"read"}, []string{"https://a.test"}, []string{clients.ClientCredentials}
	return administration.Desired{
		APIs: []administration.DesiredAPI{{Audience: "https://a.test", APISettings: administration.APISettings{Name: &name, Scopes: &scopes}}},
		Clients: []administration.DesiredClient{{ID: "job", Auth: string(clients.SecretBasic), ClientSettings: administration.ClientSettings{
			Name: &name, Grants: &types, Scopes: &scopes, Audiences: &audiences,
		}}},
		Administrators: []administration.DesiredAdministrator{{Username: "u", Roles: []string{administration.KeysRead}}},
	}
}
