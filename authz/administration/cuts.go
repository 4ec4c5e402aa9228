package administration

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/field"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/config/limits"
)

var (
	// ErrNoCut: what is to be cut is not said, or said in a way that means nothing.
	ErrNoCut = errors.New("this cannot be cut")
	// ErrNothingToRevoke: the token that is to be cut has expired.
	ErrNothingToRevoke = errors.New("there is nothing to revoke")
)

// noCut is an ErrNoCut that says by itself what is wrong.
type noCut struct{ error }

func (n noCut) Is(target error) bool { return target == ErrNoCut }

func cannotCut(member, format string, args ...any) error {
	return field.At(noCut{fmt.Errorf(format, args...)}, member)
}

// Target is what is to be cut: one of the first seven. The others are what an API has
// logged with a jti.
type Target struct {
	Grant       string `json:"grant,omitempty" maxLength:"200" doc:"This grant, and all tokens that were issued under it"`
	Session     string `json:"session,omitempty" maxLength:"200" doc:"This login session, and what was allowed in it without offline_access"`
	User        string `json:"user,omitempty" maxLength:"200" doc:"Everything that was issued for this user so far, by user name or id, and all their login sessions"`
	Client      string `json:"client,omitempty" maxLength:"200" doc:"Everything that was issued to this client so far"`
	Token       string `json:"token,omitempty" maxLength:"65536" doc:"This access or refresh token, and the grant that it belongs to"`
	JTI         string `json:"jti,omitempty" maxLength:"64" doc:"The client credentials token with this jti, which an API logged"`
	Everything  bool   `json:"everything,omitempty" doc:"Everything that was issued so far"`
	StatusList  string `json:"status_list,omitempty" maxLength:"1000" doc:"With jti, the uri in the token's status, or the number of the list; verifiers that check tokens by themselves need it"`
	StatusIndex *int64 `json:"status_index,omitempty" minimum:"0" doc:"With status_list, the idx in the token's status"`
	Expires     int64  `json:"exp,omitempty" doc:"With jti, the token's exp; without it, the longest that a token can live from now"`
}

// kind returns what is to be cut, or ErrNoCut unless that is one thing.
func (t Target) kind() (kind changes.Kind, err error) {
	given := 0
	for of, is := range map[changes.Kind]bool{
		changes.Grant: t.Grant != "", changes.Session: t.Session != "", changes.User: t.User != "",
		changes.Client: t.Client != "", changes.Token: t.Token != "" || t.JTI != "", changes.Everything: t.Everything,
	} {
		if is {
			kind = of
			given++
		}
	}
	switch {
	case given != 1 || t.Token != "" && t.JTI != "":
		return "", noCut{errors.New("give one of grant, session, user, client, token, jti and everything")}
	case t.JTI == "" && (t.StatusList != "" || t.StatusIndex != nil || t.Expires != 0):
		return "", noCut{errors.New("status_list, status_index and exp go with jti")}
	case t.JTI != "" && !IsJTI(t.JTI):
		return "", cannotCut("jti", "jti is the jti of a token, such as 5PHUYPHEIDTG6VGPM5KGEUQXL4")
	case (t.StatusList != "") != (t.StatusIndex != nil):
		return "", cannotCut("status_index", "status_list and status_index go together: the uri and the idx that the token has in its status")
	}
	return kind, nil
}

var likeJTI = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// IsJTI reports whether a text may be the jti of a token. It gets into the audit log, where
// a token must not be.
func IsJTI(s string) bool { return likeJTI.MatchString(s) }

// Cut is a cut that was made, or that a dry run would make.
type Cut struct {
	Kind changes.Kind
	// Subject is the id of what was cut; of a token its jti.
	Subject string
	// Username is that of a user, ClientID the client of a token, if it is known, and
	// ExpiresAt when the token would have expired, if the token itself was presented.
	Username, ClientID string
	ExpiresAt          time.Time
	// Warning is what to mind about it.
	Warning string
	// Ends is what a dry run has counted.
	Ends *revocation.Ended

	ref status.Ref
}

// cutStore is what of the database Cuts uses.
type cutStore interface {
	listeners.Acknowledged
	// SessionUser returns the user of a login session, or an error if there is none.
	SessionUser(ctx context.Context, id string) (string, error)
	// StatusOwner returns the client, and the grant if there is one, whose tokens refer to
	// a place in a status list. Returns indices.ErrNoOwner.
	StatusOwner(ctx context.Context, ref status.Ref) (client, grant string, err error)
	// Clock returns the time by the database's clock, by which listeners were seen.
	Clock(ctx context.Context) (time.Time, error)
}

// CutParts is what Cuts works with.
type CutParts struct {
	Cuts    *revocation.Cuts
	Clients *clients.Registry
	Users   interface {
		Find(ctx context.Context, name string) (accounts.User, error)
	}
	Sessions interface {
		End(ctx context.Context, user, id, reason string, by audit.Actor) error
	}
	// HasGrant returns an error if there is no such grant.
	HasGrant func(ctx context.Context, id string) error
	// Tokens reads a token that is presented.
	Tokens interface {
		ReadIssued(ctx context.Context, token string) (tokens.Access, error)
		ReadRefresh(ctx context.Context, token string) (tokens.Refresh, error)
	}
	Store cutStore
	// Issuer is the URL of the server, and Lists the base of the addresses of its status
	// lists.
	Issuer string
	Lists  status.Base
	Now    func() time.Time
}

// Cuts is the administration of cuts. Whoever may make them may make each: a cut takes
// rights away, and gives none.
type Cuts struct{ CutParts }

// NewCuts returns the administration of cuts, made of these parts.
func NewCuts(p CutParts) *Cuts { return &Cuts{p} }

// Make cuts a target; in a dry run it counts what that would end. It returns ErrNoCut,
// ErrNothingToRevoke, tokens.ErrInvalid, indices.ErrNoOwner, or the error of the concern
// where there is no such record.
func (c *Cuts) Make(ctx context.Context, by Caller, t Target, reason string) (Cut, error) {
	cut, end, err := c.aim(ctx, by, t, reason)
	if err != nil {
		return Cut{}, err
	}
	if !changes.IsDryRun(ctx) {
		return cut, end()
	}
	var ends revocation.Ended
	if cut.Kind != changes.Token {
		ends, err = c.Cuts.WouldEnd(ctx, cut.Kind, cut.Subject)
	}
	cut.Ends = &ends
	return cut, err
}

// aim returns the cut of a target, and how to make it.
func (c *Cuts) aim(ctx context.Context, by Caller, t Target, reason string) (Cut, func() error, error) {
	kind, err := t.kind()
	if err != nil {
		return Cut{}, nil, err
	}
	cut := Cut{Kind: kind}
	switch kind {
	case changes.Grant:
		cut.Subject = t.Grant
		return cut, c.endGrant(ctx, by, t.Grant, reason), field.At(c.HasGrant(ctx, t.Grant), "grant")
	case changes.Session:
		cut.Subject = t.Session
		user, err := c.Store.SessionUser(ctx, t.Session)
		return cut, func() error {
			return field.At(c.Sessions.End(ctx, user, t.Session, reason, by.Actor), "session")
		}, field.At(err, "session")
	case changes.User:
		user, err := c.Users.Find(ctx, t.User)
		cut.Subject, cut.Username = user.ID, user.Username
		return cut, func() error { return field.At(c.Cuts.User(ctx, user.ID, reason, by.Actor), "user") }, field.At(err, "user")
	case changes.Client:
		cut.Subject = t.Client
		_, err := c.Clients.Stored(ctx, t.Client)
		return cut, func() error { return field.At(c.Cuts.Client(ctx, t.Client, reason, by.Actor), "client") }, field.At(err, "client")
	case changes.Everything:
		return cut, func() error { return c.Cuts.Everything(ctx, reason, by.Actor) }, nil
	}
	expires := time.Time{}
	if t.Token != "" {
		cut, err = c.presented(ctx, t.Token)
		expires = cut.ExpiresAt
	} else {
		cut, expires, err = c.logged(ctx, t)
	}
	if cut.Kind == changes.Grant {
		return cut, c.endGrant(ctx, by, cut.Subject, reason), err
	}
	return cut, func() error {
		return c.Cuts.Token(ctx, cut.Subject, cut.ClientID, expires, cut.ref, reason, by.Actor)
	}, err
}

func (c *Cuts) endGrant(ctx context.Context, by Caller, id, reason string) func() error {
	return func() error { return field.At(c.Cuts.Grant(ctx, id, "", reason, by.Actor), "grant") }
}

// presented returns the cut of a token. Nothing of the token itself is in it or in an error.
func (c *Cuts) presented(ctx context.Context, token string) (Cut, error) {
	refresh, err := c.Tokens.ReadRefresh(ctx, token)
	if err == nil {
		return Cut{Kind: changes.Grant, Subject: refresh.GrantID}, nil
	}
	if !errors.Is(err, tokens.ErrInvalid) {
		return Cut{}, err
	}
	access, err := c.Tokens.ReadIssued(ctx, token)
	if errors.Is(err, tokens.ErrInvalid) {
		return Cut{}, field.At(fmt.Errorf("nothing to revoke: %w", err), "token")
	}
	if err != nil {
		return Cut{}, err
	}
	if access.GrantID != "" {
		// With the token alone, the next refresh would only issue another.
		return Cut{Kind: changes.Grant, Subject: access.GrantID}, nil
	}
	return Cut{Kind: changes.Token, Subject: access.ID, ClientID: access.ClientID, ExpiresAt: access.ExpiresAt, ref: access.Status}, nil
}

// logged returns the cut of a token whose jti an API has logged, and until when it is kept.
func (c *Cuts) logged(ctx context.Context, t Target) (Cut, time.Time, error) {
	now := c.Now()
	expires := now.Add(limits.MaxAccessTTL) // a row that is kept too long harms nobody
	if t.Expires != 0 {
		expires = time.Unix(t.Expires, 0)
		text := expires.UTC().Format(time.DateTime)
		if !now.Before(expires) {
			return Cut{}, expires, field.At(fmt.Errorf("token %s expired at %s: %w", t.JTI, text, ErrNothingToRevoke), "exp")
		}
		if expires.After(now.Add(limits.MaxAccessTTL)) {
			return Cut{}, expires, cannotCut("exp", "no token lives until %s: the longest that one can live is %s", text, limits.MaxAccessTTL)
		}
	}
	cut := Cut{Kind: changes.Token, Subject: t.JTI}
	if t.StatusList == "" {
		cut.Warning = "Verifiers that check tokens by themselves will not refuse this token: for them, also give status_list and status_index."
		return cut, expires, nil
	}
	cut.ref = status.Ref{List: status.Number(t.StatusList), Index: *t.StatusIndex}
	if cut.ref.List == 0 {
		cut.ref.List = c.Lists.ListOf(t.StatusList)
	}
	if cut.ref.List == 0 {
		return Cut{}, expires, cannotCut("status_list", "%s is no status list of %s", t.StatusList, c.Issuer)
	}
	client, grant, err := c.Store.StatusOwner(ctx, cut.ref)
	switch {
	case errors.Is(err, indices.ErrNoOwner):
		return Cut{}, expires, cannotCut("status_index", "no token refers to index %d of status list %d (any more)", cut.ref.Index, cut.ref.List)
	case err != nil:
		return Cut{}, expires, err
	case grant != "":
		// All tokens of the grant share this index, and a refresh would bring the next
		// token.
		return Cut{}, expires, cannotCut("jti", "token %s was issued under grant %s to client %s: ingam revoke --grant %s", t.JTI, grant, client, grant)
	}
	cut.ClientID = client
	return cut, expires, nil
}
