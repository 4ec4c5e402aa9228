package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
)

// Grant is a grant as it is listed.
type Grant struct {
	ID         string   `json:"id"`
	ClientID   string   `json:"client_id"`
	ClientName string   `json:"client_name" doc:"Empty if the client was deleted"`
	User       string   `json:"user" doc:"The user's id"`
	Username   string   `json:"username" doc:"Empty if the user was deleted"`
	Session    string   `json:"session" doc:"The login session that it was made in"`
	Scopes     []string `json:"scopes"`
	Audiences  []string `json:"audiences"`
	Generation int64    `json:"generation" doc:"How often it was refreshed, and one; zero if it has no refresh token"`
	CreatedAt  *string  `json:"created_at" format:"date-time"`
	RefreshAt  *string  `json:"refreshed_at" format:"date-time"`
	ExpiresAt  *string  `json:"expires_at" format:"date-time" doc:"When it ends, however often it is refreshed"`
	Revoked    bool     `json:"revoked" doc:"It no longer stands, for whatever reason"`
}

// WholeGrant is a grant with all that is known of it.
type WholeGrant struct {
	Grant
	Permissions      []Permission `json:"permissions" doc:"What was allowed, scope by scope; empty in grants of versions that did not record it"`
	OfflineAccess    bool         `json:"offline_access" doc:"It outlives its login session"`
	AuthenticatedAt  *string      `json:"authenticated_at" format:"date-time"`
	Methods          []string     `json:"amr"`
	ContextClass     string       `json:"acr"`
	RefreshExpiresAt *string      `json:"refresh_expires_at" format:"date-time" doc:"When its refresh token expires, unless it is used before"`
	RevokedAt        *string      `json:"revoked_at" format:"date-time" doc:"When it was revoked itself; null if it was not"`
	SessionEnded     bool         `json:"session_ended"`
}

// Permission is a scope at an API.
type Permission struct {
	Audience string `json:"audience" doc:"Empty for one of the server's own scopes"`
	Scope    string `json:"scope"`
}

func newPermissions(list []permission.Permission) []Permission {
	shown := make([]Permission, len(list))
	for i, p := range list {
		shown[i] = Permission(p)
	}
	return shown
}

func newGrant(g grants.Listed) Grant {
	return Grant{
		g.ID, g.ClientID, g.ClientName, g.UserID, g.Username, g.SessionID, all(g.Scopes), all(g.Audiences),
		g.Refresh.Generation, instant(g.CreatedAt), instant(g.Refresh.IssuedAt), instant(g.ExpiresAt), !g.Stands,
	}
}

type grantAnswer struct{ Body WholeGrant }

func newGrantAnswer(g grants.Listed) *grantAnswer {
	shown := WholeGrant{
		Grant: newGrant(g), Permissions: newPermissions(g.Permissions), OfflineAccess: g.Offline,
		AuthenticatedAt: instant(g.AuthenticatedAt), Methods: all(g.Methods), ContextClass: g.ContextClass,
		RevokedAt: instant(g.RevokedAt), SessionEnded: g.SessionEnded,
	}
	if g.Refresh.Generation > 0 {
		shown.RefreshExpiresAt = instant(g.Refresh.ExpiresAt)
	}
	return &grantAnswer{shown}
}

type grantOperations struct {
	grants *grants.Search
	surface
}

func (o grantOperations) add() {
	const read, revoke, one = administration.GrantsRead, administration.GrantsRevoke, "/grants/{grant_id}"
	missing := []int{http.StatusNotFound}
	add(o.surface, operation{method: http.MethodGet, path: "/grants", id: "listGrants", scope: read, summary: "List the grants, the newest first", refuses: missing}, o.list)
	add(o.surface, operation{method: http.MethodGet, path: one, id: "getGrant", scope: read, summary: "Show a grant", refuses: missing}, o.get)
	add(o.surface, operation{method: http.MethodPost, path: one + "/revoke", id: "revokeGrant", scope: revoke, summary: "Revoke a grant, and with it all tokens that were issued under it", refuses: missing}, o.revoke)
}

// GrantQuery is which grants to list.
type GrantQuery struct {
	User    string    `query:"user" maxLength:"200" doc:"Whose, by user name or id"`
	Client  string    `query:"client" maxLength:"200" doc:"Which client's"`
	Session string    `query:"session" maxLength:"200" doc:"Those that were made in this login session"`
	Scope   string    `query:"scope" maxLength:"1000" doc:"Those in which this scope was allowed"`
	Since   time.Time `query:"created_since" doc:"Those that were not made before"`
	Before  time.Time `query:"created_before" doc:"Those that were made before"`
	State   string    `query:"state" enum:"live,ended,unexpired" doc:"live: they give access; ended: they expired or were revoked, in whatever way; unexpired: they have not expired, and were perhaps revoked"`
}

// OfGrant is the input of operations on one grant.
type OfGrant struct {
	ID string `path:"grant_id" maxLength:"200"`
}

// grantPlace is where a page of grants ended, as a cursor has it.
type grantPlace struct {
	CreatedMS int64  `json:"c"`
	ID        string `json:"i"`
}

func (o grantOperations) list(ctx context.Context, by administration.Caller, in *struct {
	GrantQuery
	Paging
},
) (*pageAnswer[Grant], error) {
	bound := about(by, "grants", in.User, in.Client, in.Session, in.Scope, in.Since.String(), in.Before.String(), in.State)
	last, err := o.after(&in.Paging, bound)
	if err != nil {
		return nil, err
	}
	q := grants.Query{
		UserID: in.User, ClientID: in.Client, SessionID: in.Session, Scope: in.Scope,
		Since: in.Since, Before: in.Before, State: grants.State(in.State), Limit: in.Limit,
	}
	if last != nil {
		var at grantPlace
		if err := json.Unmarshal(last, &at); err != nil {
			return nil, err
		}
		q.After = grants.Place{CreatedAt: time.UnixMilli(at.CreatedMS), ID: at.ID}
	}
	found, err := o.grants.List(ctx, q)
	if err != nil {
		return nil, err
	}
	answer := &pageAnswer[Grant]{Page[Grant]{Items: make([]Grant, len(found.Grants))}}
	for i, g := range found.Grants {
		answer.Body.Items[i] = newGrant(g)
	}
	if found.Next == (grants.Place{}) {
		return answer, nil
	}
	note, err := json.Marshal(grantPlace{found.Next.CreatedAt.UnixMilli(), found.Next.ID})
	if err != nil {
		return nil, err
	}
	answer.Body.Next, err = o.parts.Cursors.Seal(note, bound)
	return answer, err
}

func (o grantOperations) get(ctx context.Context, _ administration.Caller, in *OfGrant) (*grantAnswer, error) {
	g, err := o.grants.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return newGrantAnswer(g), nil
}

func (o grantOperations) revoke(ctx context.Context, by administration.Caller, in *struct {
	OfGrant
	Write
},
) (*grantAnswer, error) {
	g, err := o.grants.Revoke(in.context(ctx), in.ID, in.Reason, by.Actor)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return newGrantAnswer(g), nil
}
