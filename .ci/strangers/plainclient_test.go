package strangers

import (
	"crypto/rand"
	"fmt"
	"net/http"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// plainClient gets tokens for whoever only checks them, as a plugin of kubectl does:
// the authorization code flow with PKCE and a nonce.
type plainClient struct {
	credentials
	s   *stranger
	url string
	mux *http.ServeMux
}

func newPlainClient(s *stranger, flags ...string) *plainClient {
	s.Helper()
	app, mux := serve(s.T)
	return &plainClient{s.client(app+"/callback", flags...), s, app, mux}
}

// tokens signs the person in, with openid and further scopes.
func (c *plainClient) tokens(scopes ...string) *oauth2.Token {
	c.s.Helper()
	ctx := gooidc.ClientContext(c.s.Context(), c.s.httpClient())
	relying, err := gooidc.NewProvider(ctx, c.s.issuer)
	if err != nil {
		c.s.Fatal(err)
	}
	config := oauth2.Config{
		ClientID: c.ID, ClientSecret: c.Secret, Endpoint: relying.Endpoint(), RedirectURL: c.url + "/callback",
		Scopes: append([]string{gooidc.ScopeOpenID}, scopes...),
	}
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	var token *oauth2.Token
	c.mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("state") != state {
			http.Error(w, "another state", http.StatusBadRequest)
			return
		}
		redeemed, err := config.Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(verifier))
		if !refuse(w, err) {
			token = redeemed
			fmt.Fprintln(w, "You can close this window.")
		}
	})
	pg := c.s.person().open(config.AuthCodeURL(state, gooidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)))
	if token == nil {
		c.s.Fatalf("no tokens: %s %s", c.s.refused, pg.body)
	}
	return token
}
