// Package web is the server's HTTP and nothing more: it limits and parses what
// comes in, asks package authz, and writes what comes out.
//
// What is answered where stands in one table (routes.go): method, path, whose page may
// send it, the body, whose scripts may read the answer, and the handler. The router, the
// preflights, the addresses in the metadata and docs/endpoints.md are made from it. To add an
// endpoint: a type in a file of its own, a line in the table, and the line that the test
// of the documentation then asks for.
//
// Parameters are read by one function, wherever they come in: each once, those
// without a value left out, what does not parse refused as a whole.
//
// A handler returns an error; endpoint, the one adapter, turns it into what
// the client may know (protocol.From) and into the request's record, which is
// logged once, when the request is over. Records never hold a query, a body,
// or a header that could carry a credential. Handlers of pages have an adapter of
// their own, faults.page, which shows it to the person or sends it to the client.
package web
