package web

import "net/http"

// redirect sends a browser to an address. The status is 303, so that the browser uses
// GET and does not send what it posted, such as a password, to the new address (RFC
// 9700 section 4.12). Caches must not store the answer, because its address may contain
// a code.
func redirect(w http.ResponseWriter, address string) {
	unkept(w.Header())
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}
