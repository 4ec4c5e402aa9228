package web

import (
	"net/http"
	"strings"

	"github.com/ingam/ingam/web/pages"
)

// assets serves the style, the script and the images of the pages.
type assets struct {
	pages *pages.Pages
	// base is the issuer's path.
	base string
}

// asset is GET /assets/….
func (a assets) get(w http.ResponseWriter, r *http.Request) error {
	if !a.pages.Asset(w, r, strings.TrimPrefix(r.URL.Path, a.base)) {
		return errNothing
	}
	return nil
}

// icon is GET /favicon.ico.
func (a assets) icon(w http.ResponseWriter, r *http.Request) error {
	a.pages.WriteIcon(w, r)
	return nil
}
