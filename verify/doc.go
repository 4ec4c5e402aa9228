// Package verify is the resource server's half of Ingam: it says whether a
// request brings a good access token, from memory.
//
//	v, err := verify.New(ctx, verify.Config{
//		Issuer:   "https://id.example.com",
//		Audience: "https://api.example.com",
//		Status:   verify.StatusPoll,
//	})
//	mux.Handle("POST /orders", v.Require("write")(orders))
//	mux.Handle(v.Metadata())
//
// It owns the keys and status lists of one issuer, and the checks of RFC 9068
// section 4. It refuses to own what a good token may do here beyond its scopes,
// and it never asks the issuer about a token: that is introspection.
//
// # Flows
//
//	Verify         form, header → key by kid → signature → claims → status
//	  unknown kid  → key set, once in 5 s → again
//	  new list     → status list → again
//	in the background
//	  keys         metadata (hourly) → key set (its max-age, 5 s to 15 min)
//	  list         poll: status list (its ttl, at the most MaxStaleness/4)
//	  stream       hello → set* → set bits → acknowledge
//	                     → reload → every list → acknowledge
//	               cut → reconnect with the last event's id → set* or reload
//
// A key or a list is fetched by one goroutine of its own and by nothing else.
// Requests wait for it three seconds, and only if there is nothing at all to
// judge by. Strangers can cause one fetch of the keys in five seconds, with
// made-up kids; lists are fetched for tokens whose signature is good, from the
// issuer's origin.
//
// # Errors
//
//	ErrInvalid (ErrExpired, ErrRevoked)  401 invalid_token
//	ErrInsufficientScope                 403 insufficient_scope
//	ErrUnavailable                       503, and no verdict on the token
//
// # How late a revocation can be
//
// StatusNone: when the token expires.
//
// StatusPoll: what the server takes to put it into the list, what a cache may
// keep that (max-age), and what is kept here (ttl): 10 s in all as the server
// is set up. Independently of all three, no list is gone by of which the issuer
// has not said within MaxStaleness, 10 s, that it stands: by its iat, or by a
// 304 that is no older.
//
// StatusStream: what the connection takes, milliseconds. If it dies without a
// sign, or the server is cut off, MaxStaleness; for where nothing is heard for
// half of that, lists are polled beside it. (Heartbeats more often than that
// spare the polling.) So they are for ten seconds after a gap. What is on the stream is never missed: a connection goes
// on from the last event that was applied here, and after a gap every list is
// fetched again, and counts as old until it was.
//
// Past MaxStaleness the answer is ErrUnavailable, or, with FailOpen, yes for
// what is not known to be revoked. A revocation that was seen is never
// forgotten while its token lives, and needs no fresh list.
//
// A key that the issuer withdraws is out of use when the key set is next
// fetched, within 15 minutes; if it cannot be fetched, after MaxKeyAge.
//
// # Decisions
//
// A header with jwk, jku, x5u, x5c or crit is refused, a name that occurs twice
// in an object as well, and all of the claims that RFC 9068 requires must be
// there. A token that is bound to a key (cnf) is refused, since that it is held
// is not checked here. With a Status other than StatusNone a token without one is refused:
// the issuer puts one into each. A list that is older than one that was seen
// before is a replay: its change number is lower, and its iat is not later. A
// lower number at a later time is that of a server whose database was restored;
// such a list is taken, and logged. Lists without a number are told apart by
// iat alone. Redirects are not followed.
package verify
