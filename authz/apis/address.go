package apis

import (
	"slices"
	"strings"
)

// Spellings returns the ways of writing an address that mean the same: an http or
// https address with an empty path, and the same with the slash of one (RFC 3986
// section 6.2.3). The given one comes first. Everything else has one spelling.
func Spellings(address string) []string {
	scheme, rest, _ := strings.Cut(address, "://")
	if scheme = strings.ToLower(scheme); scheme != "https" && scheme != "http" {
		return []string{address}
	}
	host := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host = rest[:end]
	}
	before, after := address[:len(scheme)+len("://")+len(host)], rest[len(host):]
	path, empty := strings.CutPrefix(after, "/")
	switch {
	case host == "":
		return []string{address}
	case !empty:
		return []string{address, before + "/" + after}
	case path == "" || path[0] == '?' || path[0] == '#':
		return []string{address, before + path}
	}
	return []string{address}
}

// Registered returns the one of a list that an address is, in whichever spelling:
// what is registered is what counts from then on.
func Registered(list []string, address string) (registered string, ok bool) {
	for _, spelling := range Spellings(address) {
		if slices.Contains(list, spelling) {
			return spelling, true
		}
	}
	return "", false
}
