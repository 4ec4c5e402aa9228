package administration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/keys"
)

// Keys is the administration of the key rings.
type Keys struct {
	rings *keys.Keyring
	log   *chain.Chain
}

// NewKeys returns the administration of the key rings, one of which signs log. Those without
// a master key can only be listed.
func NewKeys(rings *keys.Keyring, log *chain.Chain) *Keys { return &Keys{rings, log} }

// List returns all keys as they are stored now, by ring and in the order in which they
// sign.
func (a *Keys) List(ctx context.Context) ([]keys.Status, error) {
	// A key that the master key does not open is listed like the others.
	if err := a.rings.Reload(ctx); err != nil && !errors.Is(err, keys.ErrMasterKey) {
		return nil, err
	}
	return a.rings.List(), nil
}

// Rotate lets the next key of a ring sign: when every verifier can know it or, with now, at
// once; with force, even if some cannot know it yet. Returns what keys.Keyring.Rotate does.
func (a *Keys) Rotate(ctx context.Context, by Caller, ring keys.Ring, now, force bool, reason string) (keys.Status, error) {
	rings, err := a.acting(ctx)
	if err != nil {
		return keys.Status{}, err
	}
	return rings.Rotate(ctx, ring, keys.Intervention{Now: now, Force: force, Actor: string(by.Actor), Reason: reason})
}

// Withdraw ends a key, and with it everything that it signed. It returns the key, and for
// how long verifiers may cache a key set that still has it. Returns what
// keys.Keyring.Withdraw does.
func (a *Keys) Withdraw(ctx context.Context, by Caller, kid string, force bool, reason string) (ended keys.Status, cached time.Duration, err error) {
	rings, err := a.acting(ctx)
	if err != nil {
		return keys.Status{}, 0, err
	}
	withdraw := func() error {
		return rings.Withdraw(ctx, kid, keys.Intervention{Force: force, Actor: string(by.Actor), Reason: reason})
	}
	if changes.IsDryRun(ctx) {
		err = withdraw()
	} else {
		err = a.log.Withdrawing(ctx, withdraw)
	}
	if err != nil {
		return keys.Status{}, 0, err
	}
	list := rings.List()
	at := slices.IndexFunc(list, func(s keys.Status) bool { return s.KID == kid })
	if at < 0 { // it was ended and deleted, for a server deletes what nobody needs
		return keys.Status{}, 0, fmt.Errorf("%w: %s", keys.ErrNotFound, kid)
	}
	return list[at], rings.KeySetMaxAge(), nil
}

// acting returns the rings to make a change in. In a dry run they are others, whose changes
// stay in memory.
func (a *Keys) acting(ctx context.Context) (*keys.Keyring, error) {
	if changes.IsDryRun(ctx) {
		return a.rings.Trial(ctx)
	}
	return a.rings, nil
}
