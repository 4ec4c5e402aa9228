package admin

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/field"
)

// API is an API as it is shown.
type API struct {
	ID               string                       `json:"id"`
	Audience         string                       `json:"audience"`
	Name             string                       `json:"name"`
	Scopes           []string                     `json:"scopes"`
	ScopeTexts       map[string]map[string]string `json:"scope_texts,omitempty" doc:"What scopes allow, by scope and language"`
	Kept             []string                     `json:"kept_scopes,omitempty" doc:"The scopes of this API whose names would otherwise be the server's own"`
	AccessTTL        string                       `json:"access_ttl,omitempty" doc:"Absent for the server's default"`
	Roles            bool                         `json:"roles"`
	TokenType        string                       `json:"token_typ"`
	SigningAlg       string                       `json:"signing_alg"`
	FormerSigningAlg string                       `json:"former_signing_alg,omitempty" doc:"The algorithm that signs until the change to another one takes effect"`
	SigningAlgFrom   *string                      `json:"signing_alg_from,omitempty" format:"date-time" doc:"When that is"`
	Encryption       *Encryption                  `json:"encryption,omitempty"`
	CreatedAt        *string                      `json:"created_at" format:"date-time"`
	Secrets          []APISecret                  `json:"secrets,omitempty" doc:"Those that are shared with the API, at most two; the secrets themselves are not shown again"`
	APISecret        string                       `json:"api_secret,omitempty" doc:"Present only in the answer to the request that made it: the secret that signs"`

	DefaultTTL    string         `json:"default_access_ttl,omitempty" doc:"The server's default, which holds where access_ttl is absent"`
	EncryptionKey map[string]any `json:"encryption_key,omitempty" doc:"The key of encryption, a JWK"`
	Warnings      []string       `json:"warnings,omitempty" doc:"What to mind about the change that was made"`
}

// Encryption is how access tokens for an API are encrypted.
type Encryption struct {
	Alg        string `json:"alg"`
	KID        string `json:"kid,omitempty"`
	Thumbprint string `json:"thumbprint"`
}

// APISecret is a secret that is shared with an API.
type APISecret struct {
	ID        string  `json:"id" doc:"The kid of the tokens that it signs"`
	Signs     bool    `json:"signs"`
	CreatedAt *string `json:"created_at" format:"date-time"`
	APISecret string  `json:"api_secret,omitempty" doc:"Present only in the answer to the request that made it"`
}

// UsedSecret is a secret that was chosen to sign.
type UsedSecret struct {
	APISecret
	Changed bool `json:"changed" doc:"Whether another one signed, or none"`
}

// NewAPI is an API to register.
type NewAPI struct {
	Audience string `json:"audience" doc:"The aud of access tokens for the API, usually its URL"`
	administration.APISettings
}

// APIChange are the members of an API to change. Those that are absent stay.
type APIChange struct {
	ID       string `json:"id,omitempty" doc:"If present, the API's id"`
	Audience string `json:"audience,omitempty" doc:"If present, the API's audience"`
	administration.APISettings
}

func (o apiOperations) shown(a apis.API) API {
	now := o.parts.Now()
	shown := API{
		ID: a.ID, Audience: a.Audience, Name: a.Name, Scopes: all(a.Scopes), Kept: o.apis.Own().Kept(a), Roles: a.Roles, TokenType: string(a.TokenType),
		SigningAlg: a.Signing.Wants(), CreatedAt: instant(a.CreatedAt),
	}
	if former := a.Signing.At(now); former != shown.SigningAlg {
		shown.FormerSigningAlg, shown.SigningAlgFrom = former, instant(a.Signing.From)
	}
	if a.EncryptionJWK != "" {
		alg, kid, thumbprint := catalog.Encryption(a)
		shown.Encryption = &Encryption{alg, kid, thumbprint}
		_ = json.Unmarshal([]byte(a.EncryptionJWK), &shown.EncryptionKey) // one that cannot be read is shown as such
	}
	for _, s := range a.Secrets {
		s.Shown = ""
		shown.Secrets = append(shown.Secrets, newAPISecret(s))
	}
	if made, ok := a.NewSecret(); ok {
		shown.APISecret = made.Shown
	}
	if texts := a.ScopeTexts.Of(a.Scopes); len(texts) > 0 {
		shown.ScopeTexts = texts
	}
	if shown.DefaultTTL = o.parts.AccessTTL.String(); a.AccessTTL != 0 {
		shown.AccessTTL, shown.DefaultTTL = a.AccessTTL.String(), ""
	}
	return shown
}

func newAPISecret(s apis.Secret) APISecret {
	return APISecret{s.ID, s.Signs, instant(s.CreatedAt), s.Shown}
}

type apiOperations struct {
	apis *administration.APIs
	surface
}

func (o apiOperations) add() {
	const read, write, one = administration.APIsRead, administration.APIsWrite, "/apis/{api}"
	conflicts := []int{http.StatusNotFound, http.StatusConflict}
	changes := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired}
	add(o.surface, operation{method: http.MethodGet, path: "/apis", id: "listAPIs", scope: read, summary: "List the APIs"}, o.list)
	add(o.surface, operation{method: http.MethodPost, path: "/apis", id: "createAPI", scope: write, summary: "Register an API", status: http.StatusCreated, refuses: []int{http.StatusConflict}}, o.create)
	add(o.surface, operation{method: http.MethodGet, path: one, id: "getAPI", scope: read, summary: "Show an API", refuses: []int{http.StatusNotFound}}, o.get)
	add(o.surface, operation{method: http.MethodPatch, path: one, id: "updateAPI", scope: write, summary: "Change an API; what was issued stays", refuses: changes}, o.update)
	add(o.surface, operation{method: http.MethodDelete, path: one, id: "deleteAPI", scope: write, summary: "Delete an API that no client is registered for", refuses: changes}, o.delete)
	add(o.surface, operation{method: http.MethodPost, path: one + "/secrets", id: "addAPISecret", scope: write, summary: "Make a further secret for an API; it does not sign yet", status: http.StatusCreated, refuses: conflicts}, o.addSecret)
	add(o.surface, operation{method: http.MethodPost, path: one + "/secrets/{secret_id}/use", id: "useAPISecret", scope: write, summary: "Let a secret sign, once the API has it", refuses: conflicts}, o.useSecret)
	add(o.surface, operation{method: http.MethodDelete, path: one + "/secrets/{secret_id}", id: "removeAPISecret", scope: write, summary: "Remove a secret that does not sign any more, and all tokens that it signed", refuses: conflicts}, o.removeSecret)
}

// OfAPI is the input of operations on one API.
type OfAPI struct {
	Ref string `path:"api" doc:"The API's id, or its audience with each / written as %2F"`
}

type apiAnswer struct {
	ETag string `header:"ETag"`
	Body API
}

func (o apiOperations) answer(a apis.API, warnings []string) *apiAnswer {
	shown := o.shown(a)
	shown.Warnings = warnings
	return &apiAnswer{tag(catalog.Version(a)), shown}
}

func (o apiOperations) get(ctx context.Context, _ administration.Caller, in *OfAPI) (*apiAnswer, error) {
	a, err := o.apis.Get(ctx, in.Ref)
	if err != nil {
		return nil, err
	}
	return o.answer(a, nil), nil
}

func (o apiOperations) list(ctx context.Context, by administration.Caller, in *struct {
	Paging
	Audience string `query:"audience" doc:"Only the API with this audience"`
},
) (*pageAnswer[API], error) {
	list, err := o.apis.List(ctx, in.Audience)
	if err != nil {
		return nil, err
	}
	return pageOf(o.surface, by, "apis of "+in.Audience, &in.Paging, list, func(a apis.API) (string, API) { return a.Audience, o.shown(a) })
}

type createdAPI struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     API
}

func (o apiOperations) create(ctx context.Context, by administration.Caller, in *struct {
	Write
	Body NewAPI
},
) (*createdAPI, error) {
	a, err := o.apis.Create(in.context(ctx), by, in.Body.Audience, in.Body.APISettings, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	answer := o.answer(a, nil)
	return &createdAPI{answer.ETag, o.address("apis", a.ID), answer.Body}, nil
}

func (o apiOperations) update(ctx context.Context, by administration.Caller, in *struct {
	OfAPI
	Conditional
	Write
	Body APIChange
},
) (*apiAnswer, error) {
	version, err := in.known()
	if err != nil {
		return nil, err
	}
	if err := o.same(ctx, in.Ref, in.Body); err != nil {
		return nil, err
	}
	a, changed, warnings, err := o.apis.Update(in.context(ctx), by, in.Ref, version, in.Body.APISettings, in.Reason)
	if err != nil {
		return nil, err
	}
	if changed {
		o.settle(ctx, in.Write)
	}
	return o.answer(a, warnings), nil
}

// same refuses a change whose body names another API than the path.
func (o apiOperations) same(ctx context.Context, ref string, body APIChange) error {
	if body.ID == "" && body.Audience == "" {
		return nil
	}
	a, err := o.apis.Get(ctx, ref)
	switch {
	case err != nil:
		return err
	case body.ID != "" && body.ID != a.ID:
		return field.At(errOtherID, "id")
	case body.Audience != "" && body.Audience != a.Audience:
		return field.At(errOtherAudience, "audience")
	}
	return nil
}

func (o apiOperations) delete(ctx context.Context, by administration.Caller, in *struct {
	OfAPI
	Conditional
	Write
	Force bool `query:"force" doc:"Delete it although live grants are for it, which lose it"`
},
) (*struct{}, error) {
	version, err := in.known()
	if err != nil {
		return nil, err
	}
	if err := o.apis.Delete(in.context(ctx), by, in.Ref, version, in.Force, in.Reason); err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &struct{}{}, nil
}

type apiSecretAnswer struct{ Body APISecret }

func (o apiOperations) addSecret(ctx context.Context, by administration.Caller, in *struct {
	OfAPI
	Write
},
) (*apiSecretAnswer, error) {
	made, err := o.apis.AddSecret(in.context(ctx), by, in.Ref, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write) // or the API has it before a server does
	return &apiSecretAnswer{newAPISecret(made)}, nil
}

// OfAPISecret is the input of operations on one secret of an API.
type OfAPISecret struct {
	OfAPI
	SecretID string `path:"secret_id"`
	Write
}

func (o apiOperations) useSecret(ctx context.Context, by administration.Caller, in *OfAPISecret) (*struct{ Body UsedSecret }, error) {
	used, changed, err := o.apis.UseSecret(in.context(ctx), by, in.Ref, in.SecretID, in.Reason)
	if err != nil {
		return nil, err
	}
	if changed {
		o.settle(ctx, in.Write)
	}
	return &struct{ Body UsedSecret }{UsedSecret{newAPISecret(used), changed}}, nil
}

func (o apiOperations) removeSecret(ctx context.Context, by administration.Caller, in *OfAPISecret) (*apiSecretAnswer, error) {
	removed, err := o.apis.RemoveSecret(in.context(ctx), by, in.Ref, in.SecretID, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &apiSecretAnswer{newAPISecret(removed)}, nil
}
