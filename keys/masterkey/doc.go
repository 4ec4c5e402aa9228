// Package masterkey owns the master key: the file that it stands in, and what is
// encrypted under it.
//
//	ingam master-key new       → Write → a file
//	a signing key to be stored → Key.Seal → Store
//	a step of a sign-in        → Notes.Seal → the browser → Notes.Open
//
// It does not own the signing keys, nor when one is sealed again: that is package keys,
// which knows the master key as a keys.Sealer.
package masterkey
