// Package strangers lets applications and libraries that others wrote sign a person in
// with Ingam, each set up as its own documentation says for a generic OpenID provider.
//
// A stranger is one test, named after the application: it registers a client with as
// little as the application asks for, starts the application, signs the person in, and
// checks that the application's session knows the person's name and e-mail. README.md
// says how to add one.
package strangers

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// ingam is the binary under test, built by TestMain.
var ingam string

func TestMain(m *testing.M) {
	flag.Parse()
	status, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func run(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "strangers")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	ingam = filepath.Join(dir, "ingam")
	build := exec.Command("go", "build", "-o", ingam, "./cmd/ingam")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build ingam: %w\n%s", err, out)
	}
	status := m.Run()
	table.print()
	return status, nil
}

// stranger is one application that meets the server, and its row of the table.
type stranger struct {
	*testing.T
	*provider
	row *row
}

type row struct {
	application, version string
	flags                []string
	// knew is what the application's session knew; empty until it got there.
	knew string
	// met is what ended the test.
	met string
}

// meet starts a provider for an application to meet.
func meet(t *testing.T, application, version string) *stranger {
	t.Helper()
	t.Parallel()
	s := newStranger(t, application, version)
	s.attend(startProvider(t))
	return s
}

// meetTLS is meet for an application that refuses an issuer without TLS.
func meetTLS(t *testing.T, application, version string) *stranger {
	t.Helper()
	t.Parallel()
	s := newStranger(t, application, version)
	s.attend(startProviderTLS(t))
	return s
}

func newStranger(t *testing.T, application, version string) *stranger {
	return &stranger{T: t, row: table.add(application, version)}
}

// attend takes a provider, whose advice is followed and told in the table.
func (s *stranger) attend(p *provider) {
	s.provider = p
	p.advice = func(flags string) { s.row.flags = append(s.row.flags, flags+" (named by the error)") }
}

// Fatal ends the test; the table tells the first line of why.
func (s *stranger) Fatal(args ...any) {
	s.Helper()
	s.row.met = strings.TrimSpace(fmt.Sprint(args...))
	s.T.Fatal(args...)
}

// Fatalf is Fatal with a format.
func (s *stranger) Fatalf(format string, args ...any) {
	s.Helper()
	s.Fatal(fmt.Sprintf(format, args...))
}

// credentials are what an application is told of its client.
type credentials struct{ ID, Secret string }

// client registers the application's client with the least that one needs: an id, a
// redirect address and the scopes openid, profile and email. Further flags are told
// in the table; a flag with a value is one string, "--auth=none". What an error names,
// such as --pkce optional, is not given here: it is set when the error comes.
func (s *stranger) client(redirect string, further ...string) credentials {
	s.Helper()
	s.row.flags = append(s.row.flags, further...)
	return s.createClient(s, s.row.application, redirect, further...)
}

// knows ends well: text is what the application's session says of the person.
func (s *stranger) knows(text string) {
	s.Helper()
	s.knowsOf(text, fact{"name", personName}, fact{"e-mail", personEmail})
}

// fact is something that a session can know of the person.
type fact struct{ what, value string }

// knowsOf is knows for an application whose sessions hold other things.
func (s *stranger) knowsOf(text string, facts ...fact) {
	s.Helper()
	var known []string
	for _, f := range facts {
		if !strings.Contains(text, f.value) {
			if s.refused != "" {
				s.Fatalf("sent to the application with %s\nwhich says: %s", s.refused, text)
			}
			s.Fatalf("the session does not know the %s: %s", f.what, text)
		}
		known = append(known, f.what)
	}
	s.row.knew = strings.Join(known, ", ")
	s.documented()
}

// person is the one user of the provider, with a browser of their own.
func (s *stranger) person() *person {
	s.Helper()
	return newPerson(s, s.provider)
}

// table collects the rows of all strangers.
var table rows

type rows struct {
	mu  sync.Mutex
	all []*row
}

func (r *rows) add(application, version string) *row {
	r.mu.Lock()
	defer r.mu.Unlock()
	added := &row{application: application, version: version}
	r.all = append(r.all, added)
	return added
}

func (r *rows) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "\n| application\t| version\t| client create, beyond defaults\t| reached\t| what it knew\t|")
	fmt.Fprintln(w, "|---\t|---\t|---\t|---\t|---\t|")
	reached := 0
	for _, row := range r.all {
		outcome, knew := "yes", row.knew
		if knew == "" {
			outcome = "no"
			knew, _, _ = strings.Cut(row.met, "\n")
			knew = strings.ReplaceAll(knew, "|", "/")
			if len(knew) > 160 {
				knew = knew[:160] + "…"
			}
		} else {
			reached++
		}
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t| %s\t|\n", row.application, row.version, strings.Join(row.flags, " "), outcome, knew)
	}
	w.Flush()
	fmt.Printf("%d of %d reached a session that knows the person\n", reached, len(r.all))
}
