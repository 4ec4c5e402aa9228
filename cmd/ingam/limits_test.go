package main

import (
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/config/limits"
)

// TestWhatASettingCanBeIsOutlivedByWhatDependsOnIt: with every setting at its limit, keys
// are kept for as long as the tokens that they sign live, and status lists for as long as
// tokens refer to them. And no setting can exceed its limit.
func TestWhatASettingCanBeIsOutlivedByWhatDependsOnIt(t *testing.T) {
	t.Parallel()
	load := func(environ ...string) (*config.Config, error) {
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		config.Flags(flags)
		return config.Load(flags, environ)
	}
	longest := map[string]time.Duration{
		"INGAM_TOKENS_ACCESS_TTL": limits.MaxAccessTTL, "INGAM_TOKENS_REFRESH_TTL": limits.MaxRefreshTTL, "INGAM_TOKENS_GRANT_TTL": limits.MaxGrantTTL,
		"INGAM_TOKENS_REFRESH_GRACE": limits.MaxRefreshGrace, "INGAM_TOKENS_SKEW": limits.MaxSkew, "INGAM_SESSIONS_TTL": limits.MaxSessionTTL,
		"INGAM_SESSIONS_IDLE_TTL": limits.MaxSessionTTL, "INGAM_THROTTLE_SIGN_IN_WINDOW": limits.MaxSignInWindow,
	}
	var all []string
	for name, d := range longest {
		all = append(all, name+"="+d.String())
		if _, err := load(name + "=" + (d + time.Second).String()); err == nil {
			t.Errorf("%s goes beyond %s", name, d)
		}
	}
	c, err := load(all...)
	if err != nil {
		t.Fatal(err)
	}
	p := keyPolicy(c)
	for what, d := range map[string][2]time.Duration{
		"an access token's key":  {p.LongestToken, c.Tokens.AccessTTL.Std()},
		"a refresh token's key":  {p.LongestRefresh, c.Tokens.RefreshTTL.Std()},
		"a retry's private key":  {p.LongestGrace, c.Tokens.RefreshGrace.Std()},
		"a grant's ID token":     {p.LongestHint, c.Tokens.GrantTTL.Std()},
		"a session's ID token":   {p.LongestHint, c.Sessions.TTL.Std()},
		"what clocks differ by":  {p.Skew, c.Tokens.Skew.Std()},
		"a list that has closed": {lists.Tail, c.Tokens.RefreshGrace.Std() + c.Tokens.Skew.Std()},
	} {
		if d[0] < d[1] {
			t.Errorf("%s: %s, and needed for %s", what, d[0], d[1])
		}
	}
}
