package web

import (
	"net/url"
	"strings"
)

// withQuery adds parameters to the query of an address that is registered. What
// the address has of its own stays as it is, byte for byte: its owner may read it
// in another way than this server would write it.
func withQuery(address string, parameters url.Values) string {
	separator := "?"
	if _, own, has := strings.Cut(address, "?"); has {
		separator = "&"
		if own == "" || strings.HasSuffix(own, "&") {
			separator = ""
		}
	}
	return address + separator + parameters.Encode()
}
