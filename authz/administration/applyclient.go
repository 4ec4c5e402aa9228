package administration

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/field"
)

// client brings one client to what a file says.
func (a applying) client(ctx context.Context, d DesiredClient) error {
	target := clients.Client{ID: d.ID, Auth: clients.AuthMethod(d.Auth)}
	if err := d.ClientSettings.apply(&target); err != nil {
		return err
	}
	target, err := a.clients.registry.Completed(ctx, target)
	if err != nil {
		return err
	}
	is, err := a.clients.Get(ctx, d.ID)
	switch {
	case errors.Is(err, clients.ErrNotFound):
		return a.createClient(ctx, target, d)
	case err != nil:
		return err
	case is.Auth != target.Auth:
		return field.At(fmt.Errorf("%w: how a client authenticates cannot be changed; register another one", clients.ErrInvalid), "token_endpoint_auth_method")
	}
	step := Step{Kind: KindClient, ID: d.ID, Action: StepChange, Drift: a.clientDrifted(is), before: is.Version()}
	if step.Changes, err = differences(settingsOf(is), settingsOf(target)); err != nil {
		return err
	}
	if len(step.Changes) > 0 {
		if _, _, err := a.clients.Update(ctx, a.by, d.ID, Any, settingsOf(target), a.reason); err != nil {
			return err
		}
	}
	changed, err := a.clientSecret(ctx, is, d.Secret)
	if err != nil {
		return err
	}
	if changed {
		step.Changes = append(step.Changes, Difference{Member: "client_secret", Former: textOf("another"), Next: textOf("the one of the file")})
	}
	if len(step.Changes) == 0 {
		return nil
	}
	return a.step(ctx, step, markOf(target, is))
}

func (a applying) createClient(ctx context.Context, target clients.Client, d DesiredClient) error {
	made, secret, err := a.clients.Create(ctx, a.by, target, ClientSettings{}, d.Secret, a.reason)
	if err != nil {
		return err
	}
	step := Step{Kind: KindClient, ID: d.ID, Action: StepCreate, Secret: secret}
	if step.Changes, err = differences(settingsOf(clients.Client{}), settingsOf(made)); err != nil {
		return err
	}
	return a.step(ctx, step, markOf(made, made))
}

// markOf returns the mark of a client that becomes as a file says.
func markOf(target, is clients.Client) Mark {
	return Mark{Version: changes.Version(target.Details()), CreatedAt: is.CreatedAt}
}

func (a applying) clientDrifted(c clients.Client) bool {
	return a.marks.drifted(KindClient, c.ID, c.CreatedAt, changes.Version(c.Details()))
}

// clientSecret makes a secret live, if it is not. Of two the older one ends: so a file with a
// new secret can be applied again and again.
func (a applying) clientSecret(ctx context.Context, c clients.Client, secret string) (changed bool, err error) {
	if secret == "" {
		return false, nil
	}
	// Whoever may not change the client must not find out whether it is the right one either.
	if _, err := a.clients.reach(ctx, a.by, c.ID); err != nil {
		return false, err
	}
	if c.HasSecret(secret) {
		return false, nil
	}
	if len(c.Secrets) == clients.MaxSecrets {
		if _, err := a.clients.RemoveSecret(ctx, a.by, c.ID, "", a.reason); err != nil {
			return false, err
		}
	}
	_, _, err = a.clients.AddSecret(ctx, a.by, c.ID, secret, a.reason)
	return true, err
}

// pruneClients deletes the clients that a file once made, and that is in none any more.
func (a applying) pruneClients(ctx context.Context, d Desired) error {
	all, err := a.clients.List(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		_, marked := a.marks.of(KindClient, c.ID, c.CreatedAt)
		if !marked || slices.ContainsFunc(d.Clients, func(wanted DesiredClient) bool { return wanted.ID == c.ID }) {
			continue
		}
		if err := a.clients.Delete(ctx, a.by, c.ID, Any, true, a.reason); err != nil {
			return named("client "+c.ID, err)
		}
		if err := a.step(ctx, Step{Kind: KindClient, ID: c.ID, Action: StepDelete, Drift: a.clientDrifted(c), before: c.Version()}, Mark{}); err != nil {
			return err
		}
	}
	return nil
}

// settingsOf returns all settings of a client.
func settingsOf(c clients.Client) ClientSettings {
	s := ClientSettings{
		Name: &c.Name, Grants: &c.Grants, RedirectURIs: &c.RedirectURIs, Scopes: &c.Scopes, Audiences: &c.Audiences, Introspects: &c.Introspects,
		PostLogoutRedirectURIs: &c.PostLogoutRedirectURIs, InsecureRedirects: &c.InsecureRedirects, PKCE: new(string(c.PKCE)),
		RefreshIDToken: new(!c.NoRefreshIDToken), IDTokenClaims: new(!c.NoIDTokenClaims), IDTokenAlg: new(c.IDTokenSigning.Wants()),
		FirstParty: &c.FirstParty, Hold: new(string(c.Hold)), Origins: &c.Origins, RefreshGrace: Null[string](nil),
	}
	if c.RefreshGrace != nil {
		s.RefreshGrace = Null(new(c.RefreshGrace.String()))
	}
	return s
}
