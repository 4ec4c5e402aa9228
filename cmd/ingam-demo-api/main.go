// Command ingam-demo-api is a small API that accepts Ingam's access tokens. It shows
// what a resource server looks like, and lets one try revocation.
//
// Each flag can be set in the environment instead: -max-staleness as
// INGAM_DEMO_API_MAX_STALENESS. The exit status is 0 if it was asked to stop, 1 if it
// failed, 2 if it was called wrongly.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/rs/cors"

	"github.com/ingam/ingam/verify"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal, a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.LookupEnv, os.Stderr))
}

// settings are the values of the flags and the environment.
type settings struct {
	listen     string
	secretFile string
	origins    []string
	verify     verify.Config
}

// statuses are the values of -status.
var statuses = map[string]verify.Status{
	"none": verify.StatusNone, "poll": verify.StatusPoll, "stream": verify.StatusStream,
}

func parse(args []string, lookup func(string) (string, bool), stderr io.Writer) (settings, error) {
	s := settings{verify: verify.Config{Status: verify.StatusPoll}}
	c := &s.verify
	f := flag.NewFlagSet("ingam-demo-api", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&s.listen, "listen", "127.0.0.1:8081", "the `address` to listen on")
	f.StringVar(&c.Issuer, "issuer", "", "the authorization server's identifier, a `URL`")
	f.BoolVar(&c.AllowInsecureIssuer, "allow-insecure-issuer", false, "accept an http issuer that is not on a loopback address")
	f.StringVar(&c.Audience, "audience", "", "this API, as tokens name it")
	f.StringVar(&c.Resource.ID, "resource", "", "this API's own `URL`, if the audience is none")
	f.Func("status", "how revocations are learnt of: none, poll or stream (default poll)", func(value string) error {
		status, ok := statuses[value]
		if !ok {
			return errors.New("it is none of none, poll, stream")
		}
		c.Status = status
		return nil
	})
	f.StringVar(&c.ClientID, "client-id", "", "this API's client, for the stream")
	f.StringVar(&s.secretFile, "client-secret-file", "", "the `file` with its secret")
	f.StringVar(&c.Name, "name", "", "this process's name among the stream's listeners")
	f.DurationVar(&c.MaxStaleness, "max-staleness", 10*time.Second, "how old what is known of a token's status may be")
	f.BoolVar(&c.FailOpen, "fail-open", false, "past that, accept what is not known to be revoked")
	// The environment has one value per name; no origin contains a comma.
	f.Func("cors-origin", "a web `origin` whose scripts may call /hello (repeatable, or separated by commas)", func(value string) error {
		for _, o := range strings.Split(value, ",") {
			// Only complete origins are accepted: the library would accept
			// wildcards, and compares everything else literally.
			if u, err := url.Parse(o); err != nil || u.Host == "" || u.Scheme+"://"+u.Host != o || strings.Contains(o, "*") {
				return fmt.Errorf("%q is not an origin, such as https://app.example.com", o)
			}
			s.origins = append(s.origins, o)
		}
		return nil
	})
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var faults []error
	f.VisitAll(func(fl *flag.Flag) {
		name := "INGAM_DEMO_API_" + strings.ToUpper(strings.ReplaceAll(fl.Name, "-", "_"))
		if value, ok := lookup(name); ok && !given[fl.Name] {
			if err := f.Set(fl.Name, value); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", name, err))
			}
		}
	})
	if s.secretFile != "" {
		// A secret on the command line would be visible to everyone on the machine.
		secret, err := os.ReadFile(s.secretFile)
		if err != nil {
			faults = append(faults, err)
		}
		c.ClientSecret = strings.TrimRight(string(secret), "\r\n")
	}
	c.Resource.Name, c.Resource.Scopes = "Ingam demo API", []string{"write"}
	return s, errors.Join(faults...)
}

func run(ctx context.Context, args []string, lookup func(string) (string, bool), stderr io.Writer) int {
	s, err := parse(args, lookup, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(stderr, "ingam-demo-api:", err)
		return 2
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	s.verify.Logger = log
	// The verifier runs until the last request is answered. Then it tells the server
	// that this process leaves.
	v, err := verify.New(context.WithoutCancel(ctx), s.verify)
	if err != nil {
		fmt.Fprintln(stderr, "ingam-demo-api:", err)
		return 2
	}
	defer v.Close()
	if err := serve(ctx, s.listen, routes(v, s.origins), v, log); err != nil {
		log.Error("stopped", "error", err)
		return 1
	}
	return 0
}

// serve serves until ctx ends, and then finishes the requests in progress.
func serve(ctx context.Context, address string, h http.Handler, v *verify.Verifier, log *slog.Logger) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           recorded(log, h),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	state := v.State()
	log.Info("listening", "address", listener.Addr().String(), "ready", state.Ready, "why", state.Why)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

func routes(v *verify.Verifier, origins []string) http.Handler {
	mux := http.NewServeMux()
	asked := v.Require()(http.HandlerFunc(hello))
	if len(origins) > 0 { // the library treats an empty list as all origins
		// CORS without credentials: the token is in a header, which no browser adds
		// by itself. The CORS handler is around Require. So a script can read a
		// refusal, and a preflight, which never has a token, is answered.
		open := cors.New(cors.Options{
			AllowedOrigins: origins, AllowedMethods: []string{http.MethodGet}, AllowedHeaders: []string{"Authorization"},
			ExposedHeaders: []string{"WWW-Authenticate", "Retry-After"}, MaxAge: 600,
		})
		asked = open.Handler(asked)
		mux.Handle("OPTIONS /hello", asked)
	}
	mux.Handle("GET /hello", asked)
	mux.Handle("GET /hello/write", v.Require("write")(http.HandlerFunc(hello)))
	mux.Handle(v.Metadata())
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		s := v.State()
		status := http.StatusOK
		if !s.Ready {
			status = http.StatusServiceUnavailable
		}
		answer(w, status, struct {
			Ready bool   `json:"ready"`
			Why   string `json:"why,omitempty"`
		}{s.Ready, s.Why})
	})
	// A public API must not show this to strangers.
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, v.State()) })
	return mux
}

// hello answers with the subject, the client and the scopes of the token.
func hello(w http.ResponseWriter, r *http.Request) {
	token, _ := verify.FromContext(r.Context())
	answer(w, http.StatusOK, struct {
		Subject  string `json:"sub"`
		ClientID string `json:"client_id"`
		Scope    string `json:"scope"`
	}{token.Subject, token.ClientID, strings.Join(token.Scopes, " ")})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

// recorded writes one log record per request. It has neither headers nor the query,
// because both may contain a token.
func recorded(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begun := time.Now()
		s := &statusWriter{w, http.StatusOK}
		next.ServeHTTP(s, r)
		log.Info("request", "method", r.Method, "path", r.URL.Path, "status", s.status, "duration", time.Since(begun))
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}
