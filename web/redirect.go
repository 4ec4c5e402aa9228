package web

import "net/http"

// redirect sends a browser on to an address, to ask for it with GET: 303, so that
// whatever it was that it posted, such as a password, does not go along (RFC 9700
// section 4.12). Nobody may keep the answer: what it says may be in the address.
func redirect(w http.ResponseWriter, address string) {
	unkept(w.Header())
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}
