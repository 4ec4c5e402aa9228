// Package limits owns the bounds that several parts of the server depend on, above all
// how long something that the server issues can live at most, whatever the settings
// are. Each bound is defined here once, and dependent values are derived from it. A key
// must be kept for as long as anything that it has signed, and a row for as long as a
// token that was made from it, even if another process, or this one before a restart,
// had a higher setting. If a bound was raised in one place only, keys would vanish
// before their tokens expire.
//
// It does not own the settings, nor the meaning of a bound.
package limits

import "time"

const (
	// MaxAccessTTL is the longest life of an access token, whether it comes from the
	// setting or from its API.
	MaxAccessTTL = 24 * time.Hour
	// MinAccessTTL is the shortest life of an access token: with a shorter one, clocks
	// that differ would make tokens unusable.
	MinAccessTTL = time.Minute
	// MaxRefreshTTL is the longest life of a refresh token.
	MaxRefreshTTL = 90 * Day
	// MaxGrantTTL is how long after a sign-in a client can refresh, at most.
	MaxGrantTTL = 90 * Day
	// MaxSessionTTL is the longest life of a login session.
	MaxSessionTTL = 90 * Day
	// MaxRefreshGrace is the longest time within which a client may repeat a refresh
	// with the same token. It is short, because a thief could use the old token as
	// long.
	MaxRefreshGrace = 10 * time.Minute
	// MaxSkew is how far clocks may differ, at most.
	MaxSkew = 5 * time.Minute
	// Afterlife is for how long after its expiry a token may still be accepted
	// somewhere: a verifier allows MaxSkew, its clock may be MaxSkew behind, and that of
	// the server which asks as much ahead. Until then it must be known that the token
	// was revoked.
	Afterlife = 3 * MaxSkew
	// MinLinkLife is the shortest life of a link by which a person sets a password, and the
	// others are the longest of an invitation and of a reset: until then it is as good as
	// a password for whoever reads the mail.
	MinLinkLife       = 5 * time.Minute
	MaxInvitationLife = 14 * Day
	MaxResetLife      = Day
	// MaxSignInWindow is the longest window in which failed sign-ins are counted.
	MaxSignInWindow = Day

	// Day is 24 hours.
	Day = 24 * time.Hour
)
