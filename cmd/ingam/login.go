package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"

	"github.com/ingam/ingam/authz/administration"
)

// loginTime is how long `ingam login` waits for the person in the browser.
const loginTime = 10 * time.Minute

func loginCommand(t *terminal) *cobra.Command {
	var browser bool
	cmd := &cobra.Command{
		Use: "login --server URL", Short: "Sign in as an administrator of a server elsewhere", Args: exactly(0),
		Long: "Sign in as an administrator of a server elsewhere, in a browser. Afterwards commands with\n--server URL are sent to that server, in your name, until you sign out.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "server"); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), loginTime)
			defer cancel()
			r, err := t.remote(ctx)
			if err != nil {
				return err
			}
			if !browser {
				r.browse = nil
			}
			token, err := r.signIn(ctx, t)
			if err != nil {
				return err
			}
			if err := r.keep(token); err != nil {
				return err
			}
			fmt.Fprintf(t.stdout, "signed in at %s\n", r.server)
			return nil
		},
	}
	cmd.Flags().StringVar(&t.server, "server", "", "the URL of the server (its issuer)")
	cmd.Flags().BoolVar(&browser, "browser", true, "open a browser; with =false only print the address to open")
	return cmd
}

func logoutCommand(t *terminal) *cobra.Command {
	cmd := &cobra.Command{
		Use: "logout --server URL", Short: "Sign out of a server elsewhere", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "server"); err != nil {
				return err
			}
			r, err := t.remote(cmd.Context())
			if err != nil {
				return err
			}
			if err := r.signOut(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintf(t.stdout, "signed out of %s\n", r.server)
			return nil
		},
	}
	cmd.Flags().StringVar(&t.server, "server", "", "the URL of the server (its issuer)")
	return cmd
}

// signIn gets a token in a browser: by an authorization code that is sent to a loopback
// address (RFC 8252 section 7.3), with PKCE.
func (r *remote) signIn(ctx context.Context, t *terminal) (*oauth2.Token, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	asked := r.config()
	asked.RedirectURL = fmt.Sprintf("http://%s%s", l.Addr(), callbackPath)
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	answers := make(chan url.Values, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+callbackPath, func(w http.ResponseWriter, req *http.Request) {
		q := req.URL.Query()
		// Any page can send the browser here. Without the state it would sign the person in
		// as somebody else (RFC 9700 section 4.7).
		if subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 {
			http.Error(w, "This is not the answer to a sign-in of this command.", http.StatusBadRequest)
			return
		}
		select {
		case answers <- q:
		default:
		}
		w.Header().Set("Referrer-Policy", "no-referrer")
		_, _ = io.WriteString(w, "You can close this window and return to the terminal.\n")
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = server.Shutdown(closing)
	}()
	address := asked.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier))
	fmt.Fprintf(t.stderr, "Open this address in a browser on this machine:\n%s\n", address)
	if r.browse != nil {
		_ = r.browse(address) // else the person opens it
	}
	var answer url.Values
	select {
	case answer = <-answers:
	case <-ctx.Done():
		return nil, errors.New("nobody signed in")
	}
	switch {
	case answer.Get("iss") != r.server: // another server's answer, mixed up (RFC 9207)
		return nil, errors.New("the answer comes from another server")
	case answer.Get("error") != "":
		return nil, fmt.Errorf("the server refused: %s", refusal(answer.Get("error"), answer.Get("error_description")))
	}
	token, err := asked.Exchange(r.context(ctx), answer.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		return nil, r.told(err)
	}
	return token, nil
}

// callbackPath is where the browser brings the code to.
const callbackPath = "/callback"

// refusal is an OAuth error as text, on one line and without control characters.
func refusal(code, description string) string {
	if description == "" {
		return visible(code)
	}
	return visible(code) + ": " + visible(description)
}

// signOut ends the grant at the server, and forgets its tokens.
func (r *remote) signOut(ctx context.Context) error {
	token, err := r.kept()
	if err != nil {
		return err
	}
	form := url.Values{"token": {token.RefreshToken}, "client_id": {administration.LoginClient}}
	if token.RefreshToken == "" {
		form.Set("token", token.AccessToken)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.ends.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the server did not revoke the tokens: %s", answer.Status)
	}
	return r.forget()
}

// openBrowser opens an address in the person's browser.
func openBrowser(address string) error {
	switch runtime.GOOS {
	case "darwin":
		return exec.Command("open", address).Start()
	case "windows":
		return exec.Command("rundll32", "url.dll,FileProtocolHandler", address).Start()
	}
	return exec.Command("xdg-open", address).Start()
}
