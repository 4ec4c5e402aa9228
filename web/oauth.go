package web

import (
	"net/http"

	"github.com/ingam/ingam/authz"
)

// oauth is the endpoints that clients post forms to.
type oauth struct {
	authority *authz.Authority
	forms     forms
}

// token is RFC 6749 section 3.2.
func (o oauth) token(w http.ResponseWriter, r *http.Request) error {
	if err := o.forms.parse(w, r); err != nil {
		return err
	}
	rec := recordOf(r)
	answer, err := o.authority.Token(r.Context(), r)
	rec.clientID = answer.ClientID
	if err != nil {
		return err
	}
	rec.grantType = r.PostForm.Get("grant_type")
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// introspect is RFC 7662.
func (o oauth) introspect(w http.ResponseWriter, r *http.Request) error {
	if err := o.forms.parse(w, r); err != nil {
		return err
	}
	answer, err := o.authority.Introspect(r.Context(), r)
	recordOf(r).clientID = answer.Caller
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

// revoke is RFC 7009.
func (o oauth) revoke(w http.ResponseWriter, r *http.Request) error {
	if err := o.forms.parse(w, r); err != nil {
		return err
	}
	caller, err := o.authority.Revoke(r.Context(), r)
	recordOf(r).clientID = caller
	if err != nil {
		return err
	}
	unkept(w.Header())
	w.WriteHeader(http.StatusOK)
	return nil
}
