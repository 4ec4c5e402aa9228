package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/config/limits"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
)

// aim is one thing to revoke: what that would end, and how to do it.
type aim struct {
	kind    changes.Kind
	subject string
	// made is the message after it was revoked.
	made string
	cut  func(ctx context.Context) error
	// settles says that servers which do not know of the cut yet issue tokens that are
	// revoked from the beginning, so the command has to wait.
	settles bool
}

func (r *revoking) aim(c *concerns) (aim, error) {
	switch ctx := r.cmd.Context(); {
	case r.everything:
		return aim{
			kind: changes.Everything, made: "revoked everything that was issued so far", settles: true,
			cut: func(ctx context.Context) error { return c.cuts.Everything(ctx, r.reason, c.actor) },
		}, nil
	case r.grant != "":
		if _, err := c.store.Grant(ctx, r.grant); err != nil {
			return aim{}, named("grant "+r.grant, err)
		}
		return r.atGrant(c, r.grant), nil
	case r.session != "":
		user, err := c.store.SessionUser(ctx, r.session)
		return aim{
			kind: changes.Session, subject: r.session, made: "ended login session " + r.session,
			cut: func(ctx context.Context) error {
				return named("session "+r.session, c.sessions().End(ctx, user, r.session, r.reason, c.actor))
			},
		}, named("session "+r.session, err)
	}
	_, err := c.store.Client(r.cmd.Context(), r.client)
	return aim{
		kind: changes.Client, subject: r.client, settles: true,
		made: fmt.Sprintf("revoked everything that was issued to client %s so far", r.client),
		cut: func(ctx context.Context) error {
			return named("client "+r.client, c.cuts.Client(ctx, r.client, r.reason, c.actor))
		},
	}, named("client "+r.client, err)
}

func (r *revoking) atGrant(c *concerns, id string) aim {
	return aim{
		kind: changes.Grant, subject: id, made: "revoked grant " + id,
		cut: func(ctx context.Context) error {
			return named("grant "+id, c.cuts.Grant(ctx, id, "", r.reason, c.actor))
		},
	}
}

func (r *revoking) atToken(c *concerns, token string) (aim, error) {
	var master keys.Sealer
	if tokens.IsEncrypted(token) {
		// What the server sealed in it opens with keys that the master key opens.
		key, err := masterkey.Open(c.cfg.MasterKeyFile)
		if err != nil {
			return aim{}, withoutMasterKey(r.cmd.Context(), c.cfg, c.store, err)
		}
		master = key
	}
	ring := c.keyring(master)
	if err := ring.Reload(r.cmd.Context()); err != nil {
		return aim{}, err
	}
	access, err := tokens.NewIssuer(c.cfg.Issuer.String(), listsOf(c.cfg), ring, c.t.now).ReadIssued(r.cmd.Context(), token)
	if errors.Is(err, tokens.ErrInvalid) {
		return aim{}, fmt.Errorf("nothing to revoke: %w", err)
	}
	if err != nil {
		return aim{}, err
	}
	if access.GrantID != "" {
		return r.atGrant(c, access.GrantID), nil
	}
	return aim{
		kind: changes.Token, subject: access.ID,
		made: fmt.Sprintf("revoked token %s of client %s, which would have expired at %s", access.ID, access.ClientID, text(access.ExpiresAt)),
		cut: func(ctx context.Context) error {
			return c.cuts.Token(ctx, access.ID, access.ClientID, access.ExpiresAt, access.Status, r.reason, c.actor)
		},
	}, nil
}

// atLogged returns the aim for a token whose jti an API has logged.
func (r *revoking) atLogged(c *concerns) (aim, error) {
	// A row that is kept too long harms nobody.
	expires := c.t.now().Add(limits.MaxAccessTTL)
	if r.expires != "" {
		seconds, err := strconv.ParseInt(r.expires, 10, 64)
		if at := time.Unix(seconds, 0); err == nil {
			expires = at
		} else if expires, err = time.Parse(time.RFC3339, r.expires); err != nil {
			return aim{}, usage(r.cmd, "--expires is a number of seconds, as exp is, or a time such as 2006-01-02T15:04:05Z")
		}
		if now := c.t.now(); !now.Before(expires) {
			return aim{}, fmt.Errorf("token %s expired at %s: there is nothing to revoke", r.jti, text(expires))
		} else if expires.After(now.Add(limits.MaxAccessTTL)) {
			return aim{}, fmt.Errorf("no token lives until %s: the longest that one can live is %s", text(expires), limits.MaxAccessTTL)
		}
	}
	var ref status.Ref
	client, of := "", ""
	if r.statusList != "" {
		issuer := c.cfg.Issuer.String()
		ref.Index = r.statusIndex
		if number, err := strconv.ParseInt(r.statusList, 10, 64); err == nil {
			ref.List = number
		} else if ref.List = listsOf(c.cfg).ListOf(r.statusList); ref.List == 0 {
			return aim{}, fmt.Errorf("--status-list: %s is no status list of %s", r.statusList, issuer)
		}
		var grant string
		var err error
		client, grant, err = c.store.StatusOwner(r.cmd.Context(), ref)
		switch {
		case errors.Is(err, indices.ErrNoOwner):
			return aim{}, fmt.Errorf("no token refers to index %d of status list %d (any more)", ref.Index, ref.List)
		case err != nil:
			return aim{}, err
		case grant != "":
			// All tokens of the grant share this index, and a refresh would bring the
			// next token.
			return aim{}, fmt.Errorf("token %s was issued under grant %s to client %s: ingam revoke --grant %s", r.jti, grant, client, grant)
		}
		of = " of client " + client
	} else if !r.dryRun {
		fmt.Fprintln(r.t.stderr, "Verifiers that check tokens by themselves will not refuse this token: for them, also give --status-list and --status-index.")
	}
	return aim{
		kind: changes.Token, subject: r.jti, made: fmt.Sprintf("revoked token %s%s", r.jti, of),
		cut: func(ctx context.Context) error {
			return c.cuts.Token(ctx, r.jti, client, expires, ref, r.reason, c.actor)
		},
	}, nil
}
