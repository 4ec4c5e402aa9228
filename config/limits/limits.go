// Package limits owns the bounds that several parts of the server depend on: how long
// what it issues can live at most, whatever is set. Each is named here, once, and what
// depends on it is derived from it: a key has to be kept for as long as anything that it
// has signed, a row for as long as a token that was made from it, also when another
// process, or this one before it was restarted, was set to more than this one is. A bound
// that was raised in one place alone would let keys vanish before their tokens expire.
//
// It does not own the settings, nor what a bound means to anyone.
package limits

import "time"

const (
	// MaxAccessTTL is the longest life of an access token, by the setting or by its
	// API's own.
	MaxAccessTTL = 24 * time.Hour
	// MinAccessTTL is the shortest: below it, clocks that are apart would refuse tokens.
	MinAccessTTL = time.Minute
	// MaxRefreshTTL is the longest life of a refresh token.
	MaxRefreshTTL = 90 * Day
	// MaxGrantTTL is for how long a client can refresh after a sign-in, at most.
	MaxGrantTTL = 90 * Day
	// MaxSessionTTL is the longest life of a login session.
	MaxSessionTTL = 90 * Day
	// MaxRefreshGrace is the longest time within which a refresh may be repeated: each
	// retry is a token that a thief could have used.
	MaxRefreshGrace = 10 * time.Minute
	// MaxSkew is how far clocks may be apart, at most.
	MaxSkew = 5 * time.Minute
	// MaxSignInWindow is the longest window in which failed sign-ins are counted.
	MaxSignInWindow = Day

	// Day is 24 hours.
	Day = 24 * time.Hour
)
