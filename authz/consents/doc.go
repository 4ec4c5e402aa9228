// Package consents owns consents: which scopes a user has allowed which client, until
// the user takes that back.
//
//	POST /consent → Consents.Give → Store: consent + audit event, one commit
//	account page → Consents.TakeBack → Store: consent, codes and grants of the client + change + event, one commit
//
// It also names what clients hold of users by their grants (Holding, Holder), which the
// account page and the commands list beside the consents.
//
// It does not decide when a user must be asked: package authorization does. Nor does it
// know what a client may have: package grants does.
package consents
