package web

import (
	"net/http"

	"github.com/ingam/ingam/web/pages"
)

// homePage is what a person sees who opens the server's own address.
type homePage struct{ screen screen }

// get is GET /.
func (p homePage) get(w http.ResponseWriter, r *http.Request) error {
	p.screen.show(w, r, place{here: "/"}, http.StatusOK, pages.Home{})
	return nil
}
