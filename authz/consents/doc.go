// Package consents owns what users have allowed which client, until it is taken back.
//
//	POST /consent → Consents.Give → Store: consent + audit event, one commit
//	account page → Consents.TakeBack → Store: consent, codes and grants of the client + change + event, one commit
//
// It does not know which scopes need to be asked for: that is package authz.
package consents
