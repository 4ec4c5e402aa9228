package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/field"
)

// User is a user as they are shown.
type User struct {
	ID            string                     `json:"id"`
	Username      string                     `json:"username"`
	Email         string                     `json:"email"`
	EmailVerified *bool                      `json:"email_verified" doc:"null if nobody has said whether it is"`
	EmailShared   bool                       `json:"email_shared" doc:"Whether the user cannot sign in by the address, because it is also the address or the user name of somebody else"`
	Roles         []string                   `json:"roles"`
	Claims        map[string]json.RawMessage `json:"claims"`
	Disabled      bool                       `json:"disabled"`
	CreatedAt     *string                    `json:"created_at" format:"date-time"`
	PasswordState string                     `json:"password_state,omitempty" enum:"none,must_change" doc:"none if the user has no password yet, must_change if it must be changed at the next sign-in; otherwise absent"`
	SharedWith    []string                   `json:"email_shared_with,omitempty" doc:"Where one user is shown, the user names of those who share the address, if not very many"`
	Warnings      []string                   `json:"warnings,omitempty" doc:"What to mind about the change that was made"`
}

// NewUser is a user to create.
type NewUser struct {
	Password   *string `json:"password,omitempty" doc:"8 to 256 characters, and none of those that are guessed first; without one the user cannot sign in until they have used a link"`
	MustChange bool    `json:"must_change,omitempty" doc:"Whether the password must be changed at the next sign-in"`
	administration.UserSettings
}

// UserChange are the members of a user to change. Those that are absent stay.
type UserChange struct {
	ID string `json:"id,omitempty" doc:"If present, the id in the path"`
	administration.UserSettings
}

// NewPassword replaces the password of a user.
type NewPassword struct {
	Password   string `json:"password" doc:"8 to 256 characters, and none of those that are guessed first"`
	MustChange bool   `json:"must_change,omitempty" doc:"Whether it must be changed at the next sign-in"`
}

// NewLink is a link to make for a user.
type NewLink struct {
	Kind      string `json:"kind" enum:"invitation,reset" doc:"An invitation is for a user who has no password yet"`
	ExpiresIn string `json:"expires_in,omitempty" doc:"For how long it is good, such as 2h; by default 24h for an invitation and 1h for a reset"`
}

// PasswordLink is a link by which a user sets a password once.
type PasswordLink struct {
	Link      string  `json:"link,omitempty" doc:"Its address, which is not shown again; absent in a dry run"`
	Kind      string  `json:"kind" enum:"invitation,reset"`
	ExpiresAt *string `json:"expires_at" format:"date-time"`
}

func newUser(u accounts.User, shared bool) User {
	claims := u.Claims
	if claims == nil {
		claims = accounts.Claims{}
	}
	return User{
		ID: u.ID, Username: u.Username, Email: u.Email, EmailVerified: u.EmailVerified, EmailShared: shared,
		Roles: all(u.Roles), Claims: claims, Disabled: u.Disabled, CreatedAt: instant(u.CreatedAt), PasswordState: passwordState(u),
	}
}

func passwordState(u accounts.User) string {
	switch {
	case u.Password == "":
		return "none"
	case u.MustChange:
		return "must_change"
	}
	return ""
}

type userOperations struct {
	users *administration.Users
	surface
}

func (o userOperations) add() {
	const read, write, one = administration.UsersRead, administration.UsersWrite, "/users/{id}"
	conflicts := []int{http.StatusNotFound, http.StatusConflict}
	changes := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusPreconditionRequired}
	add(o.surface, operation{method: http.MethodGet, path: "/users", id: "listUsers", scope: read, summary: "List the users by name, or find one"}, o.list)
	add(o.surface, operation{method: http.MethodPost, path: "/users", id: "createUser", scope: write, summary: "Create a user", status: http.StatusCreated, refuses: conflicts}, o.create)
	add(o.surface, operation{method: http.MethodGet, path: one, id: "getUser", scope: read, summary: "Show a user", refuses: []int{http.StatusNotFound}}, o.get)
	add(o.surface, operation{method: http.MethodPatch, path: one, id: "updateUser", scope: write, summary: "Change a user, who stays signed in and keeps the same id", refuses: changes}, o.update)
	add(o.surface, operation{method: http.MethodDelete, path: one, id: "deleteUser", scope: write, summary: "Remove a user; what was issued for them no longer stands", refuses: changes}, o.delete)
	add(o.surface, operation{method: http.MethodPost, path: one + "/disable", id: "disableUser", scope: write, summary: "Refuse a user everything until enabled", refuses: conflicts}, o.switching(true))
	add(o.surface, operation{method: http.MethodPost, path: one + "/enable", id: "enableUser", scope: write, summary: "Take a disable back", refuses: conflicts}, o.switching(false))
	add(o.surface, operation{method: http.MethodPut, path: one + "/password", id: "setPassword", scope: write, summary: "Replace a user's password, and end all sessions and grants", refuses: []int{http.StatusNotFound}}, o.setPassword)
	add(o.surface, operation{method: http.MethodPost, path: one + "/links", id: "makePasswordLink", scope: write, summary: "Make a link by which a user sets a password once; it ends the former one of its kind", status: http.StatusCreated, refuses: conflicts}, o.makeLink)
}

// OfUser is the input of operations on one user.
type OfUser struct {
	ID string `path:"id"`
}

type userAnswer struct {
	ETag string `header:"ETag"`
	Body User
}

// answer shows a user with the others who share their address.
func (o userOperations) answer(u accounts.User, sharing []accounts.User, warnings []string) *userAnswer {
	shown := newUser(u, len(sharing) > 0)
	for _, other := range sharing {
		shown.SharedWith = append(shown.SharedWith, other.Username)
	}
	shown.Warnings = warnings
	return &userAnswer{tag(u.Version()), shown}
}

func (o userOperations) get(ctx context.Context, _ administration.Caller, in *OfUser) (*userAnswer, error) {
	u, sharing, err := o.users.Get(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	return o.answer(u, sharing, nil), nil
}

func (o userOperations) list(ctx context.Context, by administration.Caller, in *struct {
	Paging
	Username string `query:"username" doc:"Only the user with this user name"`
	Role     string `query:"role" doc:"Only users who have this role"`
},
) (*pageAnswer[User], error) {
	read := func(after string, most int) ([]administration.Listed, error) {
		return o.users.List(ctx, accounts.Query{After: after, Role: in.Role, Limit: most})
	}
	if in.Username != "" {
		read = func(string, int) ([]administration.Listed, error) { return o.users.Named(ctx, in.Username) }
	}
	return pageRead(o.surface, &in.Paging, about(by, "users", in.Username, in.Role), read, func(u administration.Listed) (string, User) {
		return u.Username, newUser(u.User, u.EmailShared)
	})
}

func (o userOperations) create(ctx context.Context, by administration.Caller, in *struct {
	Write
	Body NewUser
},
) (*createdUser, error) {
	u, warnings, err := o.users.Create(in.context(ctx), by, in.Body.UserSettings, in.Body.Password, in.Body.MustChange)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	answer := o.answer(u, nil, warnings) // an address that somebody has is refused
	return &createdUser{Location: o.address("users", u.ID), ETag: answer.ETag, Body: answer.Body}, nil
}

type createdUser struct {
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     User
}

func (o userOperations) update(ctx context.Context, by administration.Caller, in *struct {
	OfUser
	Conditional
	Write
	Body UserChange
},
) (*userAnswer, error) {
	version, err := in.known()
	if err != nil {
		return nil, err
	}
	if in.Body.ID != "" && in.Body.ID != in.ID {
		return nil, field.At(errOtherID, "id")
	}
	u, sharing, warnings, err := o.users.Update(in.context(ctx), by, in.ID, version, in.Body.UserSettings, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return o.answer(u, sharing, warnings), nil
}

func (o userOperations) delete(ctx context.Context, by administration.Caller, in *struct {
	OfUser
	Conditional
	Write
	Force bool `query:"force" doc:"Delete the user although they have live grants, which end"`
},
) (*struct{}, error) {
	version, err := in.known()
	if err != nil {
		return nil, err
	}
	if err := o.users.Delete(in.context(ctx), by, in.ID, version, in.Force, in.Reason); err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &struct{}{}, nil
}

type switchUser struct {
	OfUser
	Write
}

func (o userOperations) switching(disabled bool) func(context.Context, administration.Caller, *switchUser) (*userAnswer, error) {
	return func(ctx context.Context, by administration.Caller, in *switchUser) (*userAnswer, error) {
		u, sharing, err := o.users.SetDisabled(in.context(ctx), by, in.ID, disabled, in.Reason)
		if err != nil {
			return nil, err
		}
		o.settle(ctx, in.Write)
		return o.answer(u, sharing, nil), nil
	}
}

func (o userOperations) setPassword(ctx context.Context, by administration.Caller, in *struct {
	OfUser
	Write
	Body NewPassword
},
) (*struct{}, error) {
	if err := o.users.SetPassword(in.context(ctx), by, in.ID, in.Body.Password, in.Body.MustChange, in.Reason); err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &struct{}{}, nil
}

type linkAnswer struct {
	CacheControl string `header:"Cache-Control"`
	Body         PasswordLink
}

func (o userOperations) makeLink(ctx context.Context, by administration.Caller, in *struct {
	OfUser
	Write
	Body NewLink
},
) (*linkAnswer, error) {
	var life time.Duration
	if in.Body.ExpiresIn != "" {
		var err error
		if life, err = time.ParseDuration(in.Body.ExpiresIn); err != nil || life == 0 {
			return nil, field.At(fmt.Errorf("%w: for how long a link is good is a time, such as 2h", accounts.ErrInvalid), "expires_in")
		}
	}
	l, token, err := o.users.MakeLink(in.context(ctx), by, in.ID, accounts.LinkKind(in.Body.Kind), life, in.Reason)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	answer := PasswordLink{Kind: string(l.Kind), ExpiresAt: instant(l.ExpiresAt)}
	if token != "" {
		answer.Link = o.parts.LinkOf(token)
	}
	return &linkAnswer{"no-store", answer}, nil
}
