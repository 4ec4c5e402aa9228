package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/web/admin"
)

// remote is a server elsewhere, whose administrator runs the commands.
type remote struct {
	// server is the issuer of the server.
	server string
	ends   remoteEndpoints
	http   *http.Client
	// file has the tokens.
	file string
	// browse opens an address in a browser; nil if the person does that.
	browse func(address string) error
}

// remoteEndpoints is what a command needs of the server's metadata (RFC 8414).
type remoteEndpoints struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
}

// remote returns the server that --server names.
func (t *terminal) remote(ctx context.Context) (*remote, error) {
	file, err := loginFile()
	if err != nil {
		return nil, err
	}
	r := &remote{
		server: strings.TrimSuffix(t.server, "/"), file: file, browse: openBrowser,
		// A redirect would send a token, or a person, to whoever the server names.
		http: &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	u, err := url.Parse(r.server)
	if err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("--server is the https URL of a server (http only on this machine): tokens are sent there")
	}
	return r, r.discover(ctx)
}

// loginFile returns the file with the tokens for all servers.
func loginFile() (string, error) {
	folder, err := os.UserConfigDir()
	return filepath.Join(folder, "ingam", "login.json"), err
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && address.IsLoopback()
}

// discover reads the server's metadata.
func (r *remote) discover(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.server+"/.well-known/openid-configuration", nil)
	if err != nil {
		return err
	}
	answer, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s has no metadata: %s", r.server, answer.Status)
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, answer.Body, 1<<20)).Decode(&r.ends); err != nil {
		return fmt.Errorf("the metadata of %s cannot be read", r.server)
	}
	if r.ends.Issuer != r.server {
		// It could be anybody's, who gives the code of one server to another (RFC 8414
		// section 3.3).
		return fmt.Errorf("the metadata of %s are those of %s", r.server, visible(r.ends.Issuer))
	}
	// An address elsewhere would get the tokens, or be opened as whatever the person's
	// machine makes of it, such as a file.
	for _, address := range []string{r.ends.Authorization, r.ends.Token, r.ends.Revocation} {
		if !strings.HasPrefix(address, r.server+"/") {
			return fmt.Errorf("the metadata of %s name an address elsewhere: %s", r.server, visible(address))
		}
	}
	return nil
}

func (r *remote) config() *oauth2.Config {
	var scopes []string
	for _, s := range administration.Scopes {
		scopes = append(scopes, s.Name)
	}
	return &oauth2.Config{
		ClientID: administration.LoginClient, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: r.ends.Authorization, TokenURL: r.ends.Token, AuthStyle: oauth2.AuthStyleInParams},
	}
}

// context has the oauth2 library use our client.
func (r *remote) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, r.http)
}

// told returns the error of a token request without the body that the library repeats.
func (r *remote) told(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		if refused.ErrorCode == "" {
			return fmt.Errorf("the server refused: %s", refused.Response.Status)
		}
		return fmt.Errorf("the server refused: %s", refusal(refused.ErrorCode, refused.ErrorDescription))
	}
	return err
}

// RoundTrip implements http.RoundTripper: it sends a request to the admin API with the
// access token, which it refreshes when that is about to expire, or is refused: it may have
// ended before its time, as by a key that was withdrawn.
func (r *remote) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := r.kept()
	if err != nil {
		return nil, err
	}
	if token, err = r.refreshed(req.Context(), token); err != nil {
		return nil, err
	}
	answer, err := r.send(req, token)
	if err != nil || answer.StatusCode != http.StatusUnauthorized {
		return answer, err
	}
	answer.Body.Close()
	token.Expiry = time.Unix(1, 0)
	if token, err = r.refreshed(req.Context(), token); err != nil {
		return nil, err
	}
	return r.send(req, token)
}

// refreshed returns a token that has not expired, and keeps it.
func (r *remote) refreshed(ctx context.Context, token *oauth2.Token) (*oauth2.Token, error) {
	fresh, err := r.config().TokenSource(r.context(ctx), token).Token()
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.ErrorCode == "invalid_grant" || err != nil && token.RefreshToken == "" {
		// The server would count it as a bad token again and again.
		return nil, errors.Join(fmt.Errorf("you are signed out: ingam login --server %s", r.server), r.forget())
	}
	if err != nil {
		return nil, r.told(err)
	}
	if fresh.AccessToken == token.AccessToken {
		return fresh, nil
	}
	return fresh, r.keep(fresh)
}

// send sends a request with an access token. It can be sent again.
func (r *remote) send(req *http.Request, token *oauth2.Token) (*http.Response, error) {
	req = req.Clone(req.Context())
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, err
		}
		req.Body = body
	}
	req.Header.Set("Authorization", "Bearer "+token.AccessToken)
	sending := *r.http
	if strings.HasSuffix(req.URL.Path, admin.ExportPath) {
		sending.Timeout = 0 // it takes as long as it takes
	}
	return sending.Do(req)
}

// api returns the admin API of the server.
func (r *remote) api(t *terminal) *adminAPI {
	return newAdminAPI(t, r, r.server+admin.Path)
}

// kept returns the token for this server.
func (r *remote) kept() (*oauth2.Token, error) {
	all, err := r.all()
	if err != nil {
		return nil, err
	}
	token := all[r.server]
	if token == nil {
		return nil, fmt.Errorf("you are not signed in: ingam login --server %s", r.server)
	}
	return token, nil
}

// all returns the tokens for all servers.
func (r *remote) all() (map[string]*oauth2.Token, error) {
	all := map[string]*oauth2.Token{}
	b, err := os.ReadFile(r.file)
	if errors.Is(err, os.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &all); err != nil || all == nil {
		return nil, fmt.Errorf("%s is damaged; remove it and sign in again", r.file)
	}
	return all, nil
}

func (r *remote) keep(token *oauth2.Token) error {
	return r.change(func(all map[string]*oauth2.Token) { all[r.server] = token })
}

func (r *remote) forget() error {
	return r.change(func(all map[string]*oauth2.Token) { delete(all, r.server) })
}

// change replaces the file, which only its owner can read, so that another command never
// reads half of it.
func (r *remote) change(edit func(map[string]*oauth2.Token)) error {
	all, err := r.all()
	if err != nil {
		return err
	}
	edit(all)
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	folder := filepath.Dir(r.file)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, ".login-*") // 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), r.file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
