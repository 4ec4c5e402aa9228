package protocol_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/protocol"
)

// down is a fault of a database, as package storage reports it.
type down struct{}

func (down) Error() string     { return "the database said: secret" }
func (down) Unavailable() bool { return true }

func TestWhatAClientMayKnowOfAnError(t *testing.T) {
	t.Parallel()
	refused := protocol.Refuse(protocol.InvalidGrant, "The code is %s.", "used")
	caused := protocol.Refuse(protocol.InvalidGrant, "No.")
	caused.Cause = down{}
	for what, c := range map[string]struct {
		err   error
		code  protocol.Code
		says  string
		retry time.Duration
	}{
		"a refusal":                     {refused, protocol.InvalidGrant, "The code is used.", 0},
		"one that is wrapped":           {fmt.Errorf("redeem: %w", refused), protocol.InvalidGrant, "The code is used.", 0},
		"one that a fault has caused":   {caused, protocol.InvalidGrant, "No.", 0},
		"a fault of storage":            {fmt.Errorf("read: %w", down{}), protocol.TemporarilyUnavailable, "", time.Second},
		"one that does not pass":        {errors.New("secret"), protocol.ServerError, "", 0},
		"a deadline":                    {context.DeadlineExceeded, protocol.TemporarilyUnavailable, "", time.Second},
		"whoever asked has gone":        {fmt.Errorf("read: %w", context.Canceled), protocol.TemporarilyUnavailable, "", time.Second},
		"to try again, by a rule":       {protocol.Refuse(protocol.TemporarilyUnavailable, "Later."), protocol.TemporarilyUnavailable, "Later.", time.Second},
		"a fault and a refusal at once": {errors.Join(down{}, refused), protocol.InvalidGrant, "The code is used.", 0},
	} {
		got := protocol.From(c.err)
		if got.Code != c.code || got.RetryAfter != c.retry || c.says != "" && got.Description != c.says {
			t.Errorf("%s: %+v", what, got)
		}
		if strings.Contains(got.Description, "secret") {
			t.Errorf("%s: the client is told %q", what, got.Description)
		}
		if !errors.Is(c.err, error(got)) && !errors.Is(got, c.err) {
			t.Errorf("%s: the log is not told", what)
		}
	}
}

func TestTheLogSaysWhatTheClientIsNotTold(t *testing.T) {
	t.Parallel()
	e := protocol.Refuse(protocol.InvalidScope, "The client may not ask for the scope 'pasted-secret'.")
	e.Logged = "The client may not ask for scope number 2 of the request."
	e.Cause = protocol.Cause{Reason: protocol.ReasonOther, Text: "why"}
	if got := e.Error(); got != "invalid_scope: The client may not ask for scope number 2 of the request.: why" {
		t.Errorf("%q", got)
	}
}

func TestReasonsAreCounted(t *testing.T) {
	t.Parallel()
	of := protocol.Refuse(protocol.InvalidGrant, "No.")
	of.Cause = protocol.Cause{Reason: protocol.ReasonReused, Text: "used before"}
	for want, err := range map[protocol.Reason]error{
		protocol.ReasonReused:      fmt.Errorf("refresh: %w", of),
		protocol.ReasonTimeout:     context.DeadlineExceeded,
		protocol.ReasonCanceled:    context.Canceled,
		protocol.ReasonUnavailable: down{},
		protocol.ReasonOther:       errors.New("x"),
	} {
		if got := protocol.ReasonOf(err); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}
