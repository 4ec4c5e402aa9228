package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/cmd/ingam/load"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
)

const benchActor audit.Actor = "bench"

const (
	benchApp      = "bench-app"
	benchAPI      = "bench-api"
	benchCallback = "https://app.bench.example/callback"
)

// benchAlgs are the algorithms by which access tokens are signed.
var benchAlgs = append(apis.SigningAlgs(), apis.SharedAlg)

// audienceOf returns the API whose tokens are signed by an algorithm.
func audienceOf(alg string) string {
	return "https://" + strings.ToLower(alg) + ".bench.example"
}

// benchRecords is what a server is measured with: APIs, clients, and a user who is signed
// in.
type benchRecords struct {
	store *storage.Store
	now   func() time.Time
	// secrets are those of clients, by their id.
	secrets  map[string]string
	session  sessions.Session
	verifier string
}

// newBenchRecords opens the database, which must be empty, and makes the records in it.
func newBenchRecords(ctx context.Context, own *benchServer, b *bench) (r *benchRecords, err error) {
	r = &benchRecords{now: b.t.now, secrets: map[string]string{}, verifier: rand.Text() + rand.Text()}
	if r.store, err = openStore(ctx, own.cfg, storage.Options{}); err != nil {
		return nil, err
	}
	if err = r.takeOver(ctx, own.cfg.Issuer.String()); err == nil {
		own.taken = own.givenDatabase
		err = r.make(ctx, own, b)
	}
	if err != nil {
		return nil, errors.Join(err, r.store.Close())
	}
	return r, nil
}

// errInUse: nobody is to measure with a database that has something else in it.
var errInUse = errors.New("the database is in use: ingam bench needs a new one")

// takeOver makes the schema in a new database, and refuses one that is used for anything
// else.
func (r *benchRecords) takeOver(ctx context.Context, issuer string) error {
	err := r.store.CheckSchema(ctx)
	if errors.Is(err, storage.ErrNoSchema) {
		var blank bool
		if blank, err = r.store.Blank(ctx); err == nil && !blank {
			err = errInUse // by another program
		}
		if err == nil {
			err = r.store.Migrate(ctx)
		}
	}
	if err != nil {
		return err
	}
	apps, err1 := r.store.Clients(ctx)
	users, err2 := r.store.Users(ctx, accounts.Query{Limit: 1})
	list, err3 := r.store.APIs(ctx)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if len(apps) > 0 || len(users) > 0 || len(list) > 0 {
		return errInUse
	}
	// One that a server has claimed, although nothing is registered yet.
	former, err := r.store.TakeIssuer(ctx, issuer)
	if err == nil && former != issuer {
		err = errInUse
	}
	return err
}

// make registers the APIs and clients, and signs the user in.
func (r *benchRecords) make(ctx context.Context, own *benchServer, b *bench) error {
	master, err := masterkey.Open(own.cfg.MasterKeyFile)
	if err != nil {
		return err
	}
	scopes, err := ownScopes(own.cfg)
	if err != nil {
		return err
	}
	ring := newKeyring(own.cfg, r.store, master, r.now)
	// The server would make them a second after its start, while something is measured.
	if _, err := ring.Ensure(ctx, keys.Audit, string(benchActor)); err != nil {
		return err
	}
	offered := catalog.New(r.store, scopes, r.now, nil)
	offered.Rings = ring
	registry := clients.NewRegistry(r.store, offered, r.now, nil, clients.PKCERequired)
	for _, alg := range benchAlgs {
		a := apis.API{Audience: audienceOf(alg), Name: alg, Scopes: []string{"read", "write"}, Signing: apis.Signing{Alg: alg}}
		if alg == apis.DefaultAlg {
			a.Signing = apis.Signing{}
		}
		if _, err := offered.Create(ctx, a, "", benchActor); err != nil {
			return err
		}
		if err := r.client(ctx, registry, clients.Client{ID: "bench-" + alg, Audiences: []string{a.Audience}}); err != nil {
			return err
		}
	}
	usual := audienceOf(apis.DefaultAlg)
	for _, c := range []clients.Client{
		{ID: benchAPI, Audiences: []string{usual}, Introspects: []string{usual}},
		{
			ID: benchApp, Auth: clients.None, Grants: []string{clients.AuthorizationCode, clients.RefreshToken},
			RedirectURIs: []string{benchCallback}, Scopes: []string{apis.OpenID, "read", "write"}, Audiences: []string{usual},
		},
	} {
		if err := r.client(ctx, registry, c); err != nil {
			return err
		}
	}
	for i := range b.o.clients {
		if i%100 == 0 {
			b.progress.part("registering clients", float64(i)/float64(b.o.clients))
		}
		if err := r.client(ctx, registry, clients.Client{ID: fmt.Sprint("bench-more-", i), Audiences: []string{usual}}); err != nil {
			return err
		}
	}
	return r.signIn(ctx, own)
}

// client registers a client, by default one with a secret that asks for tokens of its own.
func (r *benchRecords) client(ctx context.Context, registry *clients.Registry, c clients.Client) error {
	c.Name = c.ID
	if c.Auth == "" {
		c.Auth, c.Grants, c.Scopes = clients.SecretBasic, []string{clients.ClientCredentials}, []string{"read", "write"}
	}
	_, secret, err := registry.Create(ctx, c, "", "", benchActor)
	r.secrets[c.ID] = secret
	return err
}

// signIn creates the user and begins their login session.
func (r *benchRecords) signIn(ctx context.Context, own *benchServer) error {
	hasher, err := passwords.New(0, passwords.Recommended)
	if err != nil {
		return err
	}
	user, err := accounts.NewUsers(r.store, hasher, r.now).Create(ctx, accounts.User{Username: "bench", Email: "bench@bench.example"}, rand.Text(), benchActor)
	if err != nil {
		return err
	}
	r.session = sessions.New(r.store, own.cfg.Sessions.IdleTTL.Std(), own.cfg.Sessions.TTL.Std(), r.now).Fresh(user, []string{"pwd"}, sessions.OneFactor)
	return r.store.BeginSession(ctx, r.session, sha256.Sum256([]byte(rand.Text())), sha256.Sum256([]byte(rand.Text())), audit.Event{
		At: r.now(), Actor: benchActor, Action: audit.SessionBegun, Subject: r.session.ID,
	})
}

// redemptions returns n requests, each of which redeems a code of its own.
func (r *benchRecords) redemptions(ctx context.Context, s *benchTarget, n int, scopes ...string) ([]string, error) {
	challenge := sha256.Sum256([]byte(r.verifier))
	usual := audienceOf(apis.DefaultAlg)
	code := grants.Code{
		ClientID: benchApp, RedirectURI: benchCallback, SessionID: r.session.ID, Scopes: scopes, Audiences: []string{usual},
		Nonce: "n", Challenge: base64.RawURLEncoding.EncodeToString(challenge[:]),
		// Longer than those of a server: many are made before the first is used.
		AuthenticatedAt: r.session.AuthenticatedAt, Methods: r.session.Methods, ContextClass: r.session.ContextClass, ExpiresAt: r.now().Add(time.Hour),
	}
	for _, scope := range scopes {
		of := permission.Permission{Scope: scope}
		if scope != apis.OpenID {
			of.Audience = usual
		}
		code.Permissions = append(code.Permissions, of)
	}
	texts := make([]string, n)
	err := atOnce(n, func(i int) error {
		secret := rand.Text()
		texts[i] = s.Form(s.token, url.Values{
			"grant_type": {clients.AuthorizationCode}, "client_id": {benchApp}, "redirect_uri": {benchCallback}, "code": {secret}, "code_verifier": {r.verifier},
		})
		return r.store.SaveCode(ctx, sha256.Sum256([]byte(secret)), code, r.now())
	})
	return texts, err
}

// atOnce calls do with the numbers below n, some at a time.
func atOnce(n int, do func(i int) error) error {
	const some = 8
	errs := make([]error, some)
	var group sync.WaitGroup
	for k := range some {
		group.Go(func() {
			for i := k; i < n && errs[k] == nil; i += some {
				errs[k] = do(i)
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

// refreshTokens returns the refresh tokens of n new grants.
func (r *benchRecords) refreshTokens(ctx context.Context, s *benchTarget, n int, scopes ...string) ([]string, error) {
	texts, err := r.redemptions(ctx, s, n, scopes...)
	if err != nil {
		return nil, err
	}
	wires, err := s.Dial(ctx, 1)
	if err != nil {
		return nil, err
	}
	defer load.Close(wires)
	var tokens []string
	series := load.Each(texts, 1)
	series[0].Took = func(body []byte) error {
		token, err := refreshTokenIn(body)
		tokens = append(tokens, token)
		return err
	}
	_, err = load.Plan{Wires: wires, Series: series, Want: issues, Requests: n}.Run(ctx)
	return tokens, outcome(ctx, err)
}

// refreshTokenIn returns the refresh token in an answer.
func refreshTokenIn(body []byte) (string, error) {
	var answer struct {
		Token string `json:"refresh_token"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Token == "" {
		return "", errors.New("an answer of the server has no refresh token")
	}
	return answer.Token, nil
}

// multiplyGrants makes grants: one as everybody gets it, and copies of that. The server
// does not run meanwhile, so that it begins with all of them.
func (r *benchRecords) multiplyGrants(ctx context.Context, own *benchServer, s *benchTarget, b *bench) error {
	b.progress.part("copying grants", 0)
	if _, err := r.refreshTokens(ctx, s, 1, apis.OpenID, "read"); err != nil {
		return err
	}
	own.stop()
	if err := r.store.MultiplyGrants(ctx, int64(b.o.grants)); err != nil {
		return err
	}
	return own.start(ctx)
}
