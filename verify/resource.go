package verify

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// Resource describes an API to its clients (RFC 9728 section 2).
type Resource struct {
	// ID is the API's own address: an https URL or, on a loopback address, an http
	// one. Default: Config.Audience, if that is such a URL. Without an ID the API has
	// no metadata.
	ID string
	// Name is a name of the API for people to read.
	Name string
	// Scopes are the scopes that a client can ask for.
	Scopes []string
}

func (r *Resource) complete(audience string) error {
	if r.ID == "" && addressable(audience) {
		r.ID = audience
	}
	if r.ID != "" && !addressable(r.ID) {
		return errors.New("Resource.ID is not an https URL without query and fragment")
	}
	return nil
}

func addressable(id string) bool {
	u, err := url.Parse(id)
	return err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" &&
		(u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()))
}

// metadataPath is where a client looks for the metadata of an API: the well-known path
// is inserted before the path of its ID (RFC 9728 section 3).
func (r *Resource) metadataPath() string {
	u, _ := url.Parse(r.ID)
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	return "/.well-known/oauth-protected-resource" + path
}

func (r *Resource) metadataURL() string {
	u, _ := url.Parse(r.ID)
	return u.Scheme + "://" + u.Host + r.metadataPath()
}

// Metadata returns the path and the handler of this API's metadata (RFC 9728),
// by which a client that was refused finds out where to get a token:
//
//	mux.Handle(v.Metadata())
//
// If Config.Resource has no ID, the handler answers 404.
func (v *Verifier) Metadata() (string, http.Handler) {
	r := v.cfg.Resource
	if r.ID == "" {
		return "/.well-known/oauth-protected-resource", http.NotFoundHandler()
	}
	body, err := json.Marshal(struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported,omitempty"`
		Methods  []string `json:"bearer_methods_supported"`
		Name     string   `json:"resource_name,omitempty"`
	}{r.ID, []string{v.cfg.Issuer}, r.Scopes, []string{"header"}, r.Name})
	return r.metadataPath(), http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch {
		case err != nil:
			w.WriteHeader(http.StatusInternalServerError)
		case req.Method != http.MethodGet && req.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
		default:
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Cache-Control", "public, max-age=300")
			w.Write(body)
		}
	})
}
