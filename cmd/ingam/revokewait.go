package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ingam/ingam/web/admin"
)

// await waits for the listening verifiers, and prints for each whether it has applied
// the cut.
func (r *revoking) await(api *adminAPI) error {
	began := time.Now()
	end := api.progress.begin("waiting for the verifiers")
	defer end()
	var applied admin.Applied
	for left := r.wait; ; left = r.wait - time.Since(began) {
		_, err := api.do(r.cmd.Context(), request{method: http.MethodGet, path: "/cuts/applied", query: url.Values{"wait": {left.String()}}}, &applied)
		if err != nil {
			return fmt.Errorf("it is revoked, but this command could not wait for the verifiers: %w", err)
		}
		// A request may take less time than is left.
		if len(applied.Missing) == 0 || time.Since(began) >= r.wait || r.cmd.Context().Err() != nil {
			break
		}
	}
	took := time.Since(began)
	end()
	if len(applied.Applied)+len(applied.Missing) == 0 {
		fmt.Fprintln(r.t.stdout, "no verifier is listening")
		return nil
	}
	var done int64
	for _, v := range applied.Applied {
		done += int64(v.Connections)
	}
	by := counted(done, "verifier")
	if done > 0 {
		fmt.Fprintf(r.t.stdout, "applied by %s after %s:\n%s\n", by, took.Round(time.Millisecond), lines(applied.Applied))
	}
	if len(applied.Missing) > 0 {
		return fmt.Errorf("it is revoked; within %s %s applied it. It was not applied by:\n%s", r.wait, by, lines(applied.Missing))
	}
	return nil
}

// lines returns one line for each verifier.
func lines(of []admin.Verifier) string {
	var all []string
	for _, v := range of {
		apis, connections := "", counted(int64(v.Of), "connection")
		if len(v.APIs) > 0 {
			apis = " (" + strings.Join(v.APIs, " ") + ")"
		}
		if v.Connections < v.Of {
			connections = fmt.Sprintf("%d of %s", v.Connections, connections)
		}
		silent := time.Duration(v.SilentMS) * time.Millisecond
		all = append(all, fmt.Sprintf("%s of client %s%s: %s, last heard %s ago", v.Name, v.ClientID, apis, connections, silent.Round(time.Second)))
	}
	return strings.Join(all, "\n")
}
