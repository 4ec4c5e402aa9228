package web

import (
	"net/http"

	"github.com/ingam/ingam/web/pages"
)

// homePage is for whoever opens the server's address.
type homePage struct{ screen screen }

// home is GET /.
func (p homePage) get(w http.ResponseWriter, r *http.Request) error {
	p.screen.show(w, r, place{here: "/"}, http.StatusOK, pages.Home{})
	return nil
}
