// Package admin is the admin API, /admin/v1: HTTP for administration, described by an
// OpenAPI document that is made from the same Go types.
//
// It reads a request into values, asks package administration whether the caller may, calls
// the method of the concern, and writes the answer. It decides nothing: what it refuses by
// itself is only the form of a request. The command line sends the same requests, over the
// network or within its own process.
//
//	request → who calls, by which scope → form → administration, concern → answer or problem
package admin
