// Package verify is for APIs (resource servers) whose access tokens Ingam issues: it
// checks the token of a request from memory, without asking the issuer.
//
//	v, err := verify.New(ctx, verify.Config{
//		Issuer:   "https://id.example.com",
//		Audience: "https://api.example.com",
//		Status:   verify.StatusPoll,
//	})
//	mux.Handle("POST /orders", v.Require("write")(orders))
//	mux.Handle(v.Metadata())
//
// It owns copies of one issuer's keys and status lists, keeps them up to date, and
// makes the checks of RFC 9068 section 4. Beyond comparing scopes it does not decide
// what the bearer of a good token may do. It never sends a token to the issuer to
// ask about it: that would be introspection.
//
// # Flows
//
//	Verify         form, header → key by kid → signature → claims → status
//	  encrypted    form, header → decrypt → the same with what is inside → jti
//	  unknown kid  → fetch the key set (once in 5 s) → look again
//	  new list     → fetch the status list → look again
//	in the background
//	  keys         metadata (hourly) → key set (after its max-age, 5 s to 15 min)
//	  list         poll: status list (after its ttl, at most MaxStaleness/4)
//	  stream       hello → set (any number) → set bits → acknowledge
//	                     → reload → fetch every list → acknowledge
//	               interrupted → reconnect with the last event's id → set or reload
//
// The key set and each list are fetched by one goroutine each and by nothing else.
// A request waits for such a fetch three seconds at most, and only where there is no
// copy to judge by. Strangers can cause one fetch of the keys in five seconds, by
// tokens with invented kids. Lists are fetched only for tokens whose signature is
// good, and only from the issuer's origin.
//
// # Errors
//
//	ErrInvalid (ErrExpired, ErrRevoked)  401 invalid_token
//	ErrInsufficientScope                 403 insufficient_scope
//	ErrUnavailable                       503, and no verdict on the token
//
// # How late a revocation takes effect here
//
// StatusNone: never. The token is good until it expires.
//
// StatusPoll: within 10 s, as the server is set up. That is the time until the
// server has put it into the list, until caches on the way drop their copy (max-age),
// and until this process fetches the list again (ttl). Whatever these three are, a
// list is used only while the issuer has confirmed it within MaxStaleness (10 s): by
// the iat of the list, or by a 304 that is not older than that.
//
// StatusStream: within milliseconds. If the connection dies without a sign, or the
// server cannot be reached, within MaxStaleness: when nothing has come for half of
// that time, lists are polled, too. (Heartbeats that come more often avoid this.)
// Lists that carry no change number are polled for ten seconds after a gap as well.
// No event is lost: a new connection continues after the last event that was applied
// here. If the server can no longer do that, there is a gap: every list is fetched
// again, and counts as old until then.
//
// Past MaxStaleness Verify returns ErrUnavailable or, with FailOpen, accepts tokens
// that are not known to be revoked. A revocation that was seen once is never
// forgotten while its token lives, and is applied even where the list is old.
//
// A key that the issuer withdraws is no longer accepted once the key set was fetched
// again, within 15 minutes; if it cannot be fetched, after MaxKeyAge.
//
// # What is refused
//
// A header with jwk, jku, x5u, x5c or crit is refused, and so is JSON in which a name
// occurs twice. All claims that RFC 9068 requires must be there. A token that is bound
// to a key (cnf) is refused, since nothing here checks that its sender has that key.
// Unless Status is StatusNone, a token without a status is refused: the issuer puts
// one into each.
//
// With SharedSecrets, a token that one of them signed with HS256 is good as well or, where
// Algorithm is HS256, nothing else is. Such tokens need no key set. Without SharedSecrets
// each of them is ErrInvalid, and no key set can change that. No secret checks a status list.
//
// With DecryptionKeys, a token that is not encrypted is refused, unless AcceptUnencrypted
// is set: otherwise encryption could be left out by whoever gets at a token in the clear.
// Encrypted tokens are RSA-OAEP-256 or ECDH-ES, A256GCM, and nothing else; with zip, one is
// refused. Encryption does not say who made a token, since the key for it is public: what
// is inside must be signed, and have the `jti` that the header has. Without
// DecryptionKeys every encrypted token is ErrInvalid.
//
// A status list older than one that was seen before is refused as a replay: its change
// number is lower and its iat is not later. If the number is lower but the iat is
// later, the server's database was restored from a backup; that list is accepted, and
// logged. Lists without a number are compared by iat alone. Redirects are not followed.
package verify
