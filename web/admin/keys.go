package admin

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/keys"
)

// Key is a signing key as it is shown.
type Key struct {
	KID         string  `json:"kid"`
	Ring        string  `json:"ring"`
	State       string  `json:"state" enum:"published,active,retired,gone,withdrawn" doc:"published: does not sign yet; active: signs; retired: what it signed may be alive; gone: all that it signed has expired; withdrawn: refused, with all that it signed"`
	PublishedAt *string `json:"published_at" format:"date-time"`
	SignsFrom   *string `json:"signs_from" format:"date-time"`
	RetiresAt   *string `json:"retires_at" format:"date-time" doc:"When the next key of the ring begins to sign"`
	GoneAt      *string `json:"gone_at" format:"date-time" doc:"When all that it signed will have expired"`
	WithdrawnAt *string `json:"withdrawn_at" format:"date-time"`
}

// WithdrawnKey is a key that was withdrawn.
type WithdrawnKey struct {
	Key
	CachedFor string `json:"cached_for" doc:"For how long resource servers may use a key set that still has the key, such as 10m0s"`
}

func newKey(k keys.Status) Key {
	return Key{
		k.KID, string(k.Ring), string(k.State),
		instant(k.PublishedAt), instant(k.SignsFrom), instant(k.RetiresAt), instant(k.GoneAt), instant(k.WithdrawnAt),
	}
}

type keyOperations struct {
	keys *administration.Keys
	surface
}

func (o keyOperations) add() {
	const read, write = administration.KeysRead, administration.KeysWrite
	conflict := []int{http.StatusConflict}
	add(o.surface, operation{method: http.MethodGet, path: "/keys", id: "listKeys", scope: read, summary: "List the signing keys of all rings, in the order in which they sign"}, o.list)
	add(o.surface, operation{method: http.MethodPost, path: "/keys/rotate", id: "rotateKeys", scope: write, summary: "Let the next key of a ring sign as soon as every verifier can know it", refuses: conflict}, o.rotate)
	add(o.surface, operation{method: http.MethodPost, path: "/keys/{kid}/withdraw", id: "withdrawKey", scope: write, summary: "Withdraw a key, and with it everything that it signed", refuses: append(conflict, http.StatusNotFound)}, o.withdraw)
}

func (o keyOperations) list(ctx context.Context, by administration.Caller, in *Paging) (*pageAnswer[Key], error) {
	list, err := o.keys.List(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(o.surface, by, "keys", in, list, func(k keys.Status) (string, Key) { return k.Place(), newKey(k) })
}

// ring is the name of a ring, as a parameter.
type ring string

// Schema implements huma.SchemaProvider.
func (ring) Schema(huma.Registry) *huma.Schema {
	names := []any{}
	for _, name := range keys.Rings() {
		names = append(names, string(name))
	}
	return &huma.Schema{Type: huma.TypeString, Enum: names}
}

type keyAnswer struct{ Body Key }

func (o keyOperations) rotate(ctx context.Context, by administration.Caller, in *struct {
	Ring  ring `query:"ring" required:"true"`
	Now   bool `query:"now" doc:"Let it sign at once"`
	Force bool `query:"force" doc:"With now, even if some verifiers cannot know the next key yet"`
	Write
},
) (*keyAnswer, error) {
	next, err := o.keys.Rotate(in.context(ctx), by, keys.Ring(in.Ring), in.Now, in.Force, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &keyAnswer{newKey(next)}, nil
}

type withdrawnAnswer struct{ Body WithdrawnKey }

func (o keyOperations) withdraw(ctx context.Context, by administration.Caller, in *struct {
	KID   string `path:"kid"`
	Force bool   `query:"force" doc:"Even if some verifiers cannot know the next key yet"`
	Write
},
) (*withdrawnAnswer, error) {
	ended, cached, err := o.keys.Withdraw(in.context(ctx), by, in.KID, in.Force, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &withdrawnAnswer{WithdrawnKey{newKey(ended), cached.String()}}, nil
}
