package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/field"
)

// Client is a client as it is shown.
type Client struct {
	ID                     string         `json:"client_id"`
	Name                   string         `json:"name"`
	Grants                 []string       `json:"grant_types"`
	RedirectURIs           []string       `json:"redirect_uris"`
	Scopes                 []string       `json:"scopes"`
	Audiences              []string       `json:"audiences"`
	Introspects            []string       `json:"introspects"`
	Auth                   string         `json:"token_endpoint_auth_method"`
	PostLogoutRedirectURIs []string       `json:"post_logout_redirect_uris"`
	InsecureRedirects      bool           `json:"insecure_redirects,omitempty"`
	PKCE                   string         `json:"pkce"`
	RefreshGrace           *string        `json:"refresh_grace" doc:"null for the server's default"`
	RefreshIDToken         bool           `json:"refresh_id_token"`
	IDTokenClaims          bool           `json:"id_token_claims"`
	IDTokenAlg             string         `json:"id_token_signed_response_alg"`
	FormerIDTokenAlg       string         `json:"former_id_token_signed_response_alg,omitempty" doc:"The algorithm that signs until the change to another one takes effect"`
	IDTokenAlgFrom         *string        `json:"id_token_signed_response_alg_from,omitempty" format:"date-time" doc:"When that is"`
	FirstParty             bool           `json:"first_party"`
	Hold                   string         `json:"hold,omitempty"`
	Origins                []string       `json:"origins,omitempty"`
	Disabled               bool           `json:"disabled"`
	Secrets                []ClientSecret `json:"secrets" doc:"At most two; the secrets themselves are not stored"`
	CreatedAt              *string        `json:"created_at" format:"date-time"`
	ClientSecret           string         `json:"client_secret,omitempty" doc:"Present only in the answer to the request that made it"`
	Warnings               []string       `json:"warnings,omitempty" doc:"What to mind about the change that was made"`
}

// ClientSecret is one live secret of a client.
type ClientSecret struct {
	ID           string  `json:"id"`
	CreatedAt    *string `json:"created_at" format:"date-time"`
	LastUsedAt   *string `json:"last_used_at,omitempty" format:"date-time" doc:"The hour in which it was last used"`
	ClientSecret string  `json:"client_secret,omitempty" doc:"Present only in the answer to the request that made it"`
}

// NewClient is a client to register.
type NewClient struct {
	ID     string `json:"client_id" maxLength:"128"`
	Auth   string `json:"token_endpoint_auth_method" doc:"client_secret_basic, client_secret_post or none"`
	Secret string `json:"client_secret,omitempty" doc:"The secret to use instead of one that is made, at least 32 characters"`
	administration.ClientSettings
}

// ClientChange are the members of a client to change. Those that are absent stay.
type ClientChange struct {
	ID string `json:"client_id,omitempty" doc:"If present, the id in the path"`
	administration.ClientSettings
}

// NewSecret is a secret to add.
type NewSecret struct {
	Secret string `json:"client_secret,omitempty" doc:"The secret to use instead of one that is made, at least 32 characters"`
}

func newClient(c clients.Client, now time.Time) Client {
	secrets := make([]ClientSecret, len(c.Secrets))
	for i, s := range c.Secrets {
		secrets[i] = ClientSecret{ID: s.ID, CreatedAt: instant(s.CreatedAt), LastUsedAt: instant(s.UsedAt)}
	}
	var grace *string
	if c.RefreshGrace != nil {
		s := c.RefreshGrace.String()
		grace = &s
	}
	shown := Client{
		ID: c.ID, Name: c.Name, Grants: all(c.Grants), RedirectURIs: all(c.RedirectURIs),
		Scopes: all(c.Scopes), Audiences: all(c.Audiences), Introspects: all(c.Introspects), Auth: string(c.Auth),
		PostLogoutRedirectURIs: all(c.PostLogoutRedirectURIs), InsecureRedirects: c.InsecureRedirects, PKCE: string(c.PKCE),
		RefreshGrace: grace, RefreshIDToken: !c.NoRefreshIDToken, IDTokenClaims: !c.NoIDTokenClaims,
		IDTokenAlg: c.IDTokenSigning.Wants(), FirstParty: c.FirstParty, Hold: string(c.Hold), Origins: c.Origins,
		Disabled: c.Disabled, Secrets: secrets, CreatedAt: instant(c.CreatedAt),
	}
	if former := c.IDTokenSigning.At(now); former != shown.IDTokenAlg {
		shown.FormerIDTokenAlg, shown.IDTokenAlgFrom = former, instant(c.IDTokenSigning.From)
	}
	return shown
}

type clientOperations struct {
	clients *administration.Clients
	surface
}

func (o clientOperations) add() {
	const read, write, one = administration.ClientsRead, administration.ClientsWrite, "/clients/{client_id}"
	conflicts := []int{http.StatusNotFound, http.StatusConflict}
	changes := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired}
	add(o.surface, operation{method: http.MethodGet, path: "/clients", id: "listClients", scope: read, summary: "List the clients"}, o.list)
	add(o.surface, operation{method: http.MethodPost, path: "/clients", id: "createClient", scope: write, summary: "Register a client", status: http.StatusCreated, refuses: conflicts}, o.create)
	add(o.surface, operation{method: http.MethodGet, path: one, id: "getClient", scope: read, summary: "Show a client", refuses: []int{http.StatusNotFound}}, o.get)
	add(o.surface, operation{method: http.MethodPatch, path: one, id: "updateClient", scope: write, summary: "Change a client; what was issued to it stays", refuses: changes}, o.update)
	add(o.surface, operation{method: http.MethodDelete, path: one, id: "deleteClient", scope: write, summary: "Remove a client; what was issued to it no longer stands", refuses: changes}, o.delete)
	add(o.surface, operation{method: http.MethodPost, path: one + "/disable", id: "disableClient", scope: write, summary: "Refuse a client everything until it is enabled", refuses: conflicts}, o.switching(true))
	add(o.surface, operation{method: http.MethodPost, path: one + "/enable", id: "enableClient", scope: write, summary: "Take a disable back", refuses: conflicts}, o.switching(false))
	add(o.surface, operation{method: http.MethodPost, path: one + "/secrets", id: "addClientSecret", scope: write, summary: "Add a second secret to a client; both work", status: http.StatusCreated, refuses: conflicts}, o.addSecret)
	add(o.surface, operation{method: http.MethodDelete, path: one + "/secrets/{secret_id}", id: "removeClientSecret", scope: write, summary: "Remove a secret of a client", refuses: conflicts}, o.removeSecret)
}

// OfClient is the input of operations on one client.
type OfClient struct {
	ID string `path:"client_id"`
}

type clientAnswer struct {
	ETag string `header:"ETag"`
	Body Client
}

func (o clientOperations) answer(c clients.Client, warnings []string) *clientAnswer {
	shown := newClient(c, o.parts.Now())
	shown.Warnings = warnings
	return &clientAnswer{tag(c.Version()), shown}
}

func (o clientOperations) get(ctx context.Context, _ administration.Caller, in *OfClient) (*clientAnswer, error) {
	c, err := o.clients.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return o.answer(c, nil), nil
}

func (o clientOperations) list(ctx context.Context, by administration.Caller, in *Paging) (*pageAnswer[Client], error) {
	list, err := o.clients.List(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(o.surface, by, "clients", in, list, func(c clients.Client) (string, Client) { return c.ID, newClient(c, o.parts.Now()) })
}

func (o clientOperations) create(ctx context.Context, by administration.Caller, in *struct {
	Write
	Body NewClient
},
) (*createdClient, error) {
	c := clients.Client{ID: in.Body.ID, Auth: clients.AuthMethod(in.Body.Auth)}
	c, secret, err := o.clients.Create(in.context(ctx), by, c, in.Body.ClientSettings, in.Body.Secret, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	answer := o.answer(c, c.Warnings())
	answer.Body.ClientSecret = secret
	return &createdClient{Location: o.address("clients", c.ID), ETag: answer.ETag, Body: answer.Body}, nil
}

type createdClient struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     Client
}

func (o clientOperations) update(ctx context.Context, by administration.Caller, in *struct {
	OfClient
	Conditional
	Write
	Body ClientChange
},
) (*clientAnswer, error) {
	version, err := in.known()
	if err != nil {
		return nil, err
	}
	if in.Body.ID != "" && in.Body.ID != in.ID {
		return nil, field.At(errOtherID, "client_id")
	}
	c, warnings, err := o.clients.Update(in.context(ctx), by, in.ID, version, in.Body.ClientSettings, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return o.answer(c, warnings), nil
}

func (o clientOperations) delete(ctx context.Context, by administration.Caller, in *struct {
	OfClient
	Conditional
	Write
	Force bool `query:"force" doc:"Delete it although it has live grants, which end"`
},
) (*struct{}, error) {
	version, err := in.known()
	if err != nil {
		return nil, err
	}
	if err := o.clients.Delete(in.context(ctx), by, in.ID, version, in.Force, in.Reason); err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &struct{}{}, nil
}

type switchClient struct {
	OfClient
	Write
}

func (o clientOperations) switching(disabled bool) func(context.Context, administration.Caller, *switchClient) (*clientAnswer, error) {
	return func(ctx context.Context, by administration.Caller, in *switchClient) (*clientAnswer, error) {
		c, err := o.clients.SetDisabled(in.context(ctx), by, in.ID, disabled, in.Reason)
		if err != nil {
			return nil, err
		}
		o.settle(ctx, in.Write)
		return o.answer(c, nil), nil
	}
}

type clientSecretAnswer struct{ Body ClientSecret }

func (o clientOperations) addSecret(ctx context.Context, by administration.Caller, in *struct {
	OfClient
	Write
	Body *NewSecret // without a body one is made
},
) (*clientSecretAnswer, error) {
	var given string
	if in.Body != nil {
		given = in.Body.Secret
	}
	s, secret, err := o.clients.AddSecret(in.context(ctx), by, in.ID, given, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &clientSecretAnswer{ClientSecret{ID: s.ID, CreatedAt: instant(s.CreatedAt), ClientSecret: secret}}, nil
}

func (o clientOperations) removeSecret(ctx context.Context, by administration.Caller, in *struct {
	OfClient
	SecretID string `path:"secret_id" doc:"The id of the secret, or oldest for the older of two"`
	Write
},
) (*clientSecretAnswer, error) {
	id := in.SecretID
	if id == "oldest" {
		id = ""
	}
	s, err := o.clients.RemoveSecret(in.context(ctx), by, in.ID, id, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &clientSecretAnswer{ClientSecret{ID: s.ID, CreatedAt: instant(s.CreatedAt)}}, nil
}
