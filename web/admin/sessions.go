package admin

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/sessions"
)

// Session is a browser, or an app, in which a user is signed in.
type Session struct {
	ID         string  `json:"id"`
	User       string  `json:"user" doc:"The user name"`
	UserID     string  `json:"user_id"`
	CreatedAt  *string `json:"created_at" format:"date-time"`
	SeenAt     *string `json:"seen_at" format:"date-time"`
	ExpiresAt  *string `json:"expires_at" format:"date-time"`
	Address    string  `json:"address"`
	UserAgent  string  `json:"user_agent"`
	ClientID   string  `json:"client_id,omitempty" doc:"The first-party app that signed the user in"`
	ClientName string  `json:"client_name,omitempty"`
}

// Ended says how many login sessions were ended.
type Ended struct {
	Ended int `json:"ended"`
}

func newSession(s sessions.Listed) Session {
	return Session{
		ID: s.ID, User: s.Username, UserID: s.UserID, CreatedAt: instant(s.CreatedAt), SeenAt: instant(s.SeenAt), ExpiresAt: instant(s.ExpiresAt),
		Address: s.Address, UserAgent: s.UserAgent, ClientID: s.ClientID, ClientName: s.ClientName,
	}
}

type sessionOperations struct {
	sessions *sessions.Sessions
	users    *administration.Users
	surface
}

func (o sessionOperations) add() {
	const read, end = administration.SessionsRead, administration.SessionsEnd
	missing := []int{http.StatusNotFound}
	add(o.surface, operation{method: http.MethodGet, path: "/sessions", id: "listSessions", scope: read, summary: "List where users are signed in, newest first", refuses: missing}, o.list)
	add(o.surface, operation{method: http.MethodDelete, path: "/sessions", id: "endSessions", scope: end, summary: "End all login sessions of a user, and the grants that were made in them without offline_access", refuses: missing}, o.endAll)
	add(o.surface, operation{method: http.MethodDelete, path: "/sessions/{id}", id: "endSession", scope: end, summary: "End a login session, and the grants that were made in it without offline_access", refuses: missing}, o.end)
}

func (o sessionOperations) list(ctx context.Context, by administration.Caller, in *struct {
	Paging
	UserID string `query:"user_id" doc:"Only those of this user"`
},
) (*pageAnswer[Session], error) {
	if err := o.known(ctx, in.UserID); err != nil {
		return nil, err
	}
	return pageRead(o.surface, &in.Paging, about(by, "sessions", in.UserID), func(after string, most int) (list []sessions.Listed, err error) {
		for s, err := range o.sessions.List(ctx, sessions.Query{UserID: in.UserID, After: placeOf(after), Limit: most}) {
			if err != nil {
				return nil, err
			}
			list = append(list, s)
		}
		return list, nil
	}, func(s sessions.Listed) (string, Session) {
		return strconv.FormatInt(s.CreatedAt.UnixMilli(), 10) + " " + s.ID, newSession(s)
	})
}

// placeOf reads the place of a session from the note of a cursor.
func placeOf(note string) sessions.Place {
	at, id, _ := strings.Cut(note, " ")
	ms, _ := strconv.ParseInt(at, 10, 64) // nobody else makes cursors
	return sessions.Place{CreatedAt: time.UnixMilli(ms), ID: id}
}

// known tells of a user who is not there: who misspelled an id would otherwise read that
// the user is signed in nowhere.
func (o sessionOperations) known(ctx context.Context, userID string) error {
	if userID == "" {
		return nil
	}
	_, _, err := o.users.Get(ctx, userID)
	return err
}

type endedAnswer struct{ Body Ended }

func (o sessionOperations) endAll(ctx context.Context, by administration.Caller, in *struct {
	Write
	UserID string `query:"user_id" required:"true" doc:"Whose"`
},
) (*endedAnswer, error) {
	if err := o.known(ctx, in.UserID); err != nil {
		return nil, err
	}
	ended, err := o.sessions.EndAll(in.context(ctx), in.UserID, in.Reason, by.Actor)
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &endedAnswer{Ended{ended}}, nil
}

func (o sessionOperations) end(ctx context.Context, by administration.Caller, in *struct {
	ID string `path:"id"`
	Write
	UserID string `query:"user_id" doc:"Only if it is a session of this user"`
},
) (*struct{}, error) {
	var err error
	if in.UserID == "" {
		err = o.sessions.EndAny(in.context(ctx), in.ID, in.Reason, by.Actor)
	} else {
		err = o.sessions.End(in.context(ctx), in.UserID, in.ID, in.Reason, by.Actor)
	}
	if err != nil {
		return nil, err
	}
	o.settle(ctx, in.Write)
	return &struct{}{}, nil
}
