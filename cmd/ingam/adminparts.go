package main

import (
	"context"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
)

func (c *concerns) grants() *grants.Search {
	return grants.NewSearch(c.store, c.users, c.clients, c.cuts, c.t.now)
}

func (c *concerns) access() *authz.Access {
	rules := &grants.Rules{APIs: c.apis, Issuer: c.cfg.Issuer.String(), AccessTTL: c.cfg.Tokens.AccessTTL.Std(), Now: c.t.now}
	connected := authz.NewConnected(c.clients, rules, consents.New(c.store, c.t.now), c.store, c.t.now)
	return authz.NewAccess(connected, c.users, c.clients, c.store)
}

func (c *concerns) administeredCuts() *administration.Cuts {
	return administration.NewCuts(administration.CutParts{
		Cuts: c.cuts, Clients: c.clients, Users: c.users, Sessions: c.sessions(), HasGrant: c.grants().Has,
		Tokens: ownTokens{c}, Store: c.store, Issuer: c.cfg.Issuer.String(), Lists: listsOf(c.cfg), Now: c.t.now,
	})
}

// ownTokens reads tokens by the keys in the database, which are loaded when there is one.
type ownTokens struct{ c *concerns }

func (o ownTokens) ReadIssued(ctx context.Context, token string) (tokens.Access, error) {
	var master keys.Sealer
	if tokens.IsEncrypted(token) {
		// What the server sealed in it opens with keys that the master key opens.
		key, err := masterkey.Open(o.c.cfg.MasterKeyFile)
		if err != nil {
			return tokens.Access{}, withoutMasterKey(ctx, o.c.cfg, o.c.store, err)
		}
		master = key
	}
	issuer, err := o.issuer(ctx, master)
	if err != nil {
		return tokens.Access{}, err
	}
	return issuer.ReadIssued(ctx, token)
}

func (o ownTokens) ReadRefresh(ctx context.Context, token string) (tokens.Refresh, error) {
	issuer, err := o.issuer(ctx, nil)
	if err != nil {
		return tokens.Refresh{}, err
	}
	return issuer.ReadRefresh(ctx, token)
}

func (o ownTokens) issuer(ctx context.Context, master keys.Sealer) (*tokens.Issuer, error) {
	ring := o.c.keyring(master)
	if err := ring.Reload(ctx); err != nil {
		return nil, err
	}
	return tokens.NewIssuer(o.c.cfg.Issuer.String(), listsOf(o.c.cfg), ring, o.c.t.now), nil
}
