package audit_test

import (
	"testing"

	"github.com/ingam/ingam/authz/audit"
)

func TestAnActorSaysOfWhichKindItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		actor        audit.Actor
		text         string
		user, client string
	}{
		{audit.User("u"), "user:u", "u", ""},
		{audit.Client("c"), "client:c", "", "c"},
		// An id may look like the name of another kind of actor.
		{audit.Client("user:u"), "client:user:u", "", "user:u"},
		{audit.Operator("o"), "cli:o", "", ""},
		{audit.Server, "server", "", ""},
	} {
		if string(c.actor) != c.text {
			t.Errorf("%s, not %s", c.actor, c.text)
		}
		if id, is := c.actor.User(); is != (c.user != "") || is && id != c.user {
			t.Errorf("%s is user %q: %t", c.actor, id, is)
		}
		if id, is := c.actor.Client(); is != (c.client != "") || is && id != c.client {
			t.Errorf("%s is client %q: %t", c.actor, id, is)
		}
	}
}
