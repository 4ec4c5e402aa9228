package administration

import (
	"context"

	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/keys"
)

// checkedAtOnce is how many events one call of Verify checks, which takes part of a second.
const checkedAtOnce = 20_000

// Verify checks a part of the audit log against its chain, from a place on, which is the zero
// Place at the beginning. kept is a head that was kept elsewhere; may be zero. Returns
// chain.ErrTooOld.
func (a *Audit) Verify(ctx context.Context, from chain.Place, kept chain.Mark) (chain.Report, error) {
	return a.chain.Check(ctx, from, kept, checkedAtOnce)
}

// Head returns the last signed head of the chain. Returns chain.ErrNothing.
func (a *Audit) Head(ctx context.Context) (chain.Head, error) { return a.chain.Last(ctx) }

// ChainKeys returns the public keys that verify heads.
func (a *Audit) ChainKeys(ctx context.Context) ([]keys.PublicKey, error) {
	return a.chain.PublicKeys(ctx)
}

// ChainPart returns what comes in the chain after a number, up to a number; see chain.Chain.
func (a *Audit) ChainPart(ctx context.Context, after, through int64) (chain.Part, error) {
	return a.chain.Part(ctx, after, through)
}
