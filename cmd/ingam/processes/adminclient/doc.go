// Package adminclient is a client of the admin API that oapi-codegen has made from the
// document which a server serves. Nothing of it is written by hand, so it shows what
// somebody else gets who makes one.
package adminclient

//go:generate go test -C .. -count=1 -run ^TestTheClientIsWhatGenerationGives$ -args -generate
