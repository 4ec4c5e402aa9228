package chain

import (
	"context"
	"errors"
	"slices"

	"github.com/ingam/ingam/keys"
)

// ErrWithdrawn: the key that signed a head was withdrawn, and with it what it signed.
var ErrWithdrawn = errors.New("its key was withdrawn")

// sign returns the head with its signature. The first one makes the ring's keys.
func (c *Chain) sign(ctx context.Context, h Head) (Head, error) {
	b, err := h.claims()
	if err != nil {
		return Head{}, err
	}
	h.Signed, err = c.rings.Sign(keys.Audit, HeadType, b)
	if errors.Is(err, keys.ErrNoSigningKey) {
		if _, err := c.rings.Ensure(ctx, keys.Audit, "server"); err != nil {
			return Head{}, err
		}
		// Another instance may have made them a moment ago.
		if err := c.reload(ctx); err != nil {
			return Head{}, err
		}
		h.Signed, err = c.rings.Sign(keys.Audit, HeadType, b)
	}
	h.KID = kidOf(h.Signed)
	return h, err
}

// reload reads the keys. If the master key does not open one of another ring, or one that
// somebody has put there, those of this ring that it vouches for are good.
func (c *Chain) reload(ctx context.Context) error {
	if err := c.rings.Reload(ctx); !errors.Is(err, keys.ErrMasterKey) {
		return err
	}
	return nil
}

// PublicKeys returns the public keys of the ring, also those that were withdrawn.
func (c *Chain) PublicKeys(ctx context.Context) ([]keys.PublicKey, error) {
	if err := c.reload(ctx); err != nil {
		return nil, err
	}
	return c.rings.PublicKeys(keys.Audit)
}

// signed returns the digest at the number of a head that a key of the ring has signed.
// Returns ErrWithdrawn.
func (c *Chain) signed(h Head) (Digest, error) {
	v, err := c.rings.Verify(keys.Audit, h.Signed, HeadType)
	if errors.Is(err, keys.ErrUnknownKey) {
		public, failed := c.rings.PublicKeys(keys.Audit)
		if failed != nil {
			return Digest{}, failed
		}
		kid := kidOf(h.Signed)
		if slices.ContainsFunc(public, func(k keys.PublicKey) bool { return k.KID == kid && !k.WithdrawnAt.IsZero() }) {
			return Digest{}, ErrWithdrawn
		}
	}
	if err != nil {
		return Digest{}, err
	}
	return h.signed(v.Payload)
}

func kidOf(signed string) string {
	var header struct {
		KID string `json:"kid"`
	}
	keys.ReadHeader(signed, &header)
	return header.KID
}
