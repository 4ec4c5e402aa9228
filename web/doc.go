// Package web is the server's HTTP and nothing more: it limits and parses requests,
// calls package authz, and writes the answers.
//
// One table (routes.go) lists every route: method, path, whose page may send the
// request, the type of its body, whose scripts may read the answer, and the handler.
// The router, the CORS preflights, the addresses in the metadata and docs/endpoints.md
// are made from it. To add an endpoint, add a type in a file of its own, a line in the
// table, and the line in docs/endpoints.md that its test then asks for.
//
// One function reads parameters, wherever they come in: each may occur once, those
// without a value are left out, and a malformed query or body is refused as a whole.
//
// A handler returns an error. The adapter endpoint turns it into what the client may
// know (protocol.From) and into the request's log record, which is written once, when
// the request is over. Records never contain a query, a body, or a header that could
// carry a credential. Handlers of pages have an adapter of their own, faults.page,
// which shows the error to the person or sends it to the client.
package web
