package admin

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/permission"
)

// Access says who has access to what; *authz.Access does.
type Access interface {
	Page(ctx context.Context, q consents.AccessQuery) (consents.AccessPage, error)
}

// Accessible is what a client may do for a user.
type Accessible struct {
	UserID       string `json:"user_id"`
	Username     string `json:"username"`
	UserDisabled bool   `json:"user_disabled"`

	ClientID       string `json:"client_id"`
	ClientName     string `json:"client_name"`
	ClientDisabled bool   `json:"client_disabled"`

	Permissions []Permission `json:"permissions"`
	Since       *string      `json:"since" format:"date-time"`
	LastUsed    *string      `json:"last_used" format:"date-time" doc:"When the client last got tokens for the user, as far as that is stored"`
}

type accessOperations struct {
	access Access
	surface
}

func (o accessOperations) add() {
	add(o.surface, operation{
		method: http.MethodGet, path: "/access", id: "listAccess", scope: administration.GrantsRead,
		summary: "List who has access to what, since when, and when it was last used", refuses: []int{http.StatusNotFound},
	}, o.list)
}

func (o accessOperations) list(ctx context.Context, by administration.Caller, in *struct {
	User   string `query:"user" maxLength:"200" doc:"A user, by user name or id"`
	Client string `query:"client" maxLength:"200" doc:"A client"`
	Paging
},
) (*pageAnswer[Accessible], error) {
	bound := about(by, "access", in.User, in.Client)
	last, err := o.after(&in.Paging, bound)
	if err != nil {
		return nil, err
	}
	found, err := o.access.Page(ctx, consents.AccessQuery{User: in.User, ClientID: in.Client, After: string(last), Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	answer := &pageAnswer[Accessible]{Page[Accessible]{Items: make([]Accessible, len(found.List))}}
	for i, a := range found.List {
		answer.Body.Items[i] = Accessible{
			UserID: a.User.UserID, Username: a.User.Username, UserDisabled: a.User.Disabled,
			ClientID: a.ClientID, ClientName: a.Name, ClientDisabled: a.Disabled,
			Permissions: newPermissions(permission.ParseAll(a.Permissions)), Since: instant(a.Since), LastUsed: instant(a.LastUsed),
		}
	}
	if found.Own != nil {
		answer.Body.Notes = []string{fmt.Sprintf("Client %s also gets client credentials tokens, for: %s. It is not recorded when.", in.Client, strings.Join(found.Own, " "))}
	}
	if found.Next != "" {
		answer.Body.Next, err = o.parts.Cursors.Seal([]byte(found.Next), bound)
	}
	return answer, err
}
