package processes

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/web/pages"
	"github.com/ingam/ingam/web/pages/texts"
)

// state is a page in one of the states in which somebody may see it.
type state struct {
	name string
	// house names the operator whose look the page has; empty for one who has
	// configured only a name.
	house   string
	content func(texts.Text) pages.Content
}

// same is content that does not depend on the language.
func same(c pages.Content) func(texts.Text) pages.Content {
	return func(texts.Text) pages.Content { return c }
}

// oddNames are names of people and applications that could break the layout of a page,
// or make it say something else.
var oddNames = []struct{ name, text string }{
	{"one-word", strings.Repeat("Donaudampfschiff", 7) + "fahrt.de"}, // 120 letters
	{"many-words", "The International Society for the Study of Names That Are Much Too Long for the Forms Into Which People Have to Write Th"},
	{"hebrew", "שלום קוראים לי אברהם (חשבון 7)"},
	{"arabic", "متجر الكتب العربية — الرياض 12"},
	{"bidi-controls", "Bank\u202ekcart-noitamrofni\u202c of \u2066Anywhere"},
	{"emoji", "👩‍👩‍👧‍👦 Pixel & Söhne 🇰🇷🧾"},
	{"korean", "대한민국인감도장등록사업자협동조합연합회 회원전용서비스"},
}

var (
	registered = time.Date(2026, 3, 4, 9, 12, 0, 0, time.UTC)
	lately     = time.Now().Add(-26 * time.Hour)
)

// everyPermission has one permission of each kind.
func everyPermission(t texts.Text) []pages.Permission {
	return []pages.Permission{
		{Text: t.T("scope openid")},
		{Text: t.With("scope profile and", "department, badge")},
		{Text: t.T("scope email"), Whose: "minji@acme.example"},
		{Text: t.T("scope phone")},
		{Text: t.T("scope address")},
		{Text: t.T("scope roles")},
		{Text: t.With("scope further", "badge, cost_centre")},
		{Text: map[string]string{"en": "read your orders", "ko": "주문 내역 보기"}[t.Lang], Whose: "Orders · read", API: "Orders"},
		{Text: t.With("scope other", "write"), Whose: "Orders · https://orders.acme.example/v1", API: "Orders · https://orders.acme.example/v1"},
		{Text: t.T("scope offline_access"), Whose: t.With("until taken back", t.Span(30*24*time.Hour))},
	}
}

func consent(changed func(*pages.Consent), permissions func(texts.Text) []pages.Permission) func(texts.Text) pages.Content {
	return func(t texts.Text) pages.Content {
		c := pages.Consent{
			Client: "Photo Print", Since: registered, Host: "print.example.com", Username: "minji",
			Request: "client_id=print&scope=openid", Session: "01J", Permissions: permissions(t),
		}
		if changed != nil {
			changed(&c)
		}
		return c
	}
}

func account(changed func(*pages.Account)) func(texts.Text) pages.Content {
	return func(t texts.Text) pages.Content {
		all := everyPermission(t)
		c := pages.Account{
			Person: pages.Person{Name: "Minji Kim", Username: "minji", Email: "minji@acme.example", Initial: "M"},
			Sessions: []pages.Session{
				{ID: "1", Browser: "Chrome · Mac OS", Address: "203.0.113.9", Since: registered, Seen: lately, Here: true},
				{ID: "2", Browser: "Safari · iPhone", Address: "2001:db8:85a3:8d3:1319:8a2e:370:7348", Since: lately, Seen: lately},
				{ID: "3", Browser: "Firefox · Windows", Address: "198.51.100.77", App: "Acme Shop", Since: registered, Seen: time.Now()},
			},
			SessionCount: 3,
			Apps: []pages.App{
				{ID: "print", Name: "Photo Print", Home: "print.example.com", Since: registered, LastUsed: lately, Permissions: all[:3]},
				{ID: "shop", Name: "Acme Shop", Since: lately, Permissions: all[6:], Disabled: true},
			},
			AppCount: 2, Shortest: 8, Longest: 1024,
		}
		if changed != nil {
			changed(&c)
		}
		return c
	}
}

// outcome is the account page after one of its forms was sent.
func outcome(o pages.Outcome) func(texts.Text) pages.Content {
	return account(func(a *pages.Account) { a.Outcome = o })
}

var someToken = pages.Token{
	Header: "{\n  \"alg\": \"RS256\",\n  \"kid\": \"Yx0Zb1x3nR5uJk2m\",\n  \"typ\": \"at+jwt\"\n}",
	Claims: "{\n  \"aud\": [\n    \"https://orders.acme.example/v1\"\n  ],\n  \"jti\": \"" + strings.Repeat("n", 120) + "\"\n}",
}

// gallery is every page in every state.
func gallery() []state {
	login := pages.Login{Client: "Acme Shop", Then: "/oauth2/authorize?client_id=shop", Username: "minji@acme.example"}
	problem := func(text texts.Name, wait time.Duration) func(texts.Text) pages.Content {
		l := login
		l.Problem, l.Wait = text, wait
		return same(l)
	}
	states := []state{
		{"sign-in", "", same(pages.Login{})},
		{"sign-in-for-an-app", "acme", same(pages.Login{Client: "Acme Shop", Then: login.Then})},
		{"sign-in-filled", "accent", same(login)},
		{"sign-in-wrong", "acme", problem("wrong", 0)},
		{"sign-in-throttled-seconds", "", problem("too many", 7*time.Second)},
		{"sign-in-throttled-a-minute", "acme", problem("too many", time.Minute)},
		{"sign-in-crowded", "acme", problem("crowded", 4*time.Second)},
		{"sign-in-throttled-minutes", "", problem("too many", 15*time.Minute)},

		{"sign-in-too-late", "acme", problem("signed in too late", 0)},
		{"sign-in-after-a-link", "", same(pages.Login{Username: "minji", Done: "password set"})},
		{"choose-by-a-link", "acme", same(pages.NewPassword{Link: strings.Repeat("l", 43), Username: "minji@acme.example", Shortest: 8, Longest: 256})},
		{"choose-by-a-link-guessed", "", same(pages.NewPassword{Link: strings.Repeat("l", 43), Username: "minji", Problem: "password guessed", Shortest: 8, Longest: 256})},
		{"choose-another", "accent", same(pages.NewPassword{Note: strings.Repeat("n", 120), Then: login.Then, Username: "minji", Shortest: 8, Longest: 256})},
		{"choose-another-same", "acme", same(pages.NewPassword{Note: strings.Repeat("n", 120), Username: "minji", Problem: "password same", Shortest: 8, Longest: 256})},
		{"choose-another-crowded", "", same(pages.NewPassword{Note: strings.Repeat("n", 120), Username: "minji", Problem: "crowded", Wait: 4 * time.Second, Shortest: 8, Longest: 256})},
		{"dead-link", "acme", same(pages.DeadLink{})},
		{"dead-link-throttled", "", same(pages.DeadLink{Problem: "too many", Wait: 15 * time.Minute})},

		{"consent-short", "", consent(func(c *pages.Consent) { c.Since = time.Time{} }, func(t texts.Text) []pages.Permission { return everyPermission(t)[:1] })},
		{"consent-every-kind", "acme", consent(nil, everyPermission)},
		{"consent-of-an-app-on-a-phone", "accent", consent(func(c *pages.Consent) { c.Host = "com.example.print:" }, func(t texts.Text) []pages.Permission { return everyPermission(t)[7:] })},
		{"consent-long", "", consent(nil, func(t texts.Text) []pages.Permission {
			return slices.Concat(everyPermission(t), everyPermission(t), everyPermission(t)[5:])
		})},

		{"account", "acme", account(nil)},
		{"account-full", "acme", account(func(a *pages.Account) {
			a.Sessions, a.SessionCount = append(a.Sessions, a.Sessions[1:]...), 5
			a.Apps, a.AppCount = slices.Concat(a.Apps, a.Apps, a.Apps[:1]), 5
		})},
		{"account-with-a-picture", "accent", account(func(a *pages.Account) { a.Person.Picture = "/picture.png" })},
		{"account-of-more-than-is-shown", "", account(func(a *pages.Account) { a.SessionCount, a.AppCount = 12, 9 })},
		{"account-of-one-session-and-no-apps", "", account(func(a *pages.Account) {
			a.Person = pages.Person{Name: "minji", Username: "minji", Initial: "M"}
			a.Sessions, a.SessionCount, a.Apps, a.AppCount = a.Sessions[:1], 1, nil, 0
		})},
		{"account-sessions", "", account(func(a *pages.Account) { a.Matter, a.SessionCount = pages.SessionMatter, 210 })},
		{"account-apps", "", account(func(a *pages.Account) { a.Matter, a.AppCount = pages.AppMatter, 210 })},
		{"account-password", "acme", account(func(a *pages.Account) { a.Matter = pages.PasswordMatter })},
		{"account-ended", "", outcome(pages.Outcome{Of: pages.SessionMatter, Text: "ended"})},
		{"account-ended-others", "acme", outcome(pages.Outcome{Of: pages.SessionMatter, Text: "ended others", Count: 4})},
		{"account-ended-no-others", "", outcome(pages.Outcome{Of: pages.SessionMatter, Text: "ended no others"})},
		{"account-disconnected", "", outcome(pages.Outcome{Of: pages.AppMatter, Text: "disconnected"})},
		{"account-password-changed", "", outcome(pages.Outcome{Of: pages.PasswordMatter, Text: "password changed"})},
		{"account-current-wrong", "acme", outcome(pages.Outcome{Of: pages.PasswordMatter, Text: "current wrong", Field: "current"})},
		{"account-current-must-change", "", outcome(pages.Outcome{Of: pages.PasswordMatter, Text: "current must change", Field: "current"})},
		{"account-throttled", "", outcome(pages.Outcome{Of: pages.PasswordMatter, Text: "too many", Field: "current", Wait: 3 * time.Minute})},
		{"account-crowded", "acme", outcome(pages.Outcome{Of: pages.PasswordMatter, Text: "crowded", Field: "current", Wait: 4 * time.Second})},
	}
	for _, why := range []texts.Name{"password length", "password is name", "password guessed", "password typed"} {
		states = append(states, state{"account-" + strings.ReplaceAll(string(why), " ", "-"), "", account(func(a *pages.Account) {
			a.Matter, a.Outcome = pages.PasswordMatter, pages.Outcome{Of: pages.PasswordMatter, Text: why, Field: "new"}
		})})
	}
	states = append(states,
		state{"sign-out", "accent", same(pages.Logout{Username: "minji", Request: "client_id=shop"})},
		state{"sign-out-without-a-way-back", "", same(pages.Logout{Username: "minji", Request: "client_id=shop", NoReturn: "not its address"})},
		state{"signed-out", "acme", same(pages.Logout{})},
		state{"signed-out-without-a-way-back", "", same(pages.Logout{NoReturn: "nobody asks"})},
		// Its form leads to an answer without content, so the browser stays on this page.
		state{"passing-on", "acme", same(pages.Post{Action: "/nowhere", Fields: url.Values{"code": {"c"}, "submit": {"s"}}})},
		state{"home", "", same(pages.Home{})},
		state{"demo", "", same(pages.Demo{})},
		state{"demo-wrong", "", same(pages.Demo{Problem: "access_denied: The user did not allow it."})},
		state{"demo-signed-in", "", same(pages.Demo{Logout: "https://id.acme.example/logout", ID: someToken, Access: someToken, Refresh: someToken})},
	)
	for _, fault := range []pages.Fault{pages.FaultOfApp, pages.FaultOfServer, pages.FaultOfTime, pages.FaultOfLink, pages.FaultOfSite} {
		said := pages.Error{Fault: fault, Description: "The redirect_uri is not registered for this client."}
		states = append(states, state{"error-of-" + string(fault), "", same(said)})
		said.Back, said.BackTo, said.Again = "https://shop.acme.example/basket?item=7", "shop.acme.example", "/oauth2/authorize?client_id=shop"
		states = append(states, state{"error-of-" + string(fault) + "-with-ways-on", "acme", same(said)})
	}
	for i, odd := range oddNames {
		states = append(states,
			state{"consent-" + odd.name, odd.name, consent(func(c *pages.Consent) { c.Client, c.Username = odd.text, odd.text }, func(t texts.Text) []pages.Permission {
				return []pages.Permission{{Text: odd.text, Whose: odd.text + " · read", API: odd.text}, {Text: t.With("scope other", odd.text), Whose: odd.text}, everyPermission(t)[0]}
			})},
			state{"account-" + odd.name, "", account(func(a *pages.Account) {
				a.Person = pages.Person{Name: odd.text, Username: odd.text + "0", Email: odd.text + "@acme.example", Initial: strings.ToUpper(string([]rune(odd.text)[0]))}
				a.Sessions[1].Browser, a.Sessions[1].App = odd.text, odd.text
				a.Apps[0].Name, a.Apps[0].Home = odd.text, odd.text
				a.Apps[0].Permissions = []pages.Permission{{Text: odd.text, API: odd.text}, everyPermission(english)[2]}
			})},
		)
		if i > 2 {
			continue // where a name appears once, the widest names and one from right to left are enough
		}
		states = append(states,
			state{"sign-in-" + odd.name, odd.name, same(pages.Login{Client: odd.text, Username: odd.text, Problem: "wrong"})},
			state{"choose-by-a-link-" + odd.name, "", same(pages.NewPassword{Link: "l", Username: odd.text})},
			state{"sign-out-" + odd.name, "", same(pages.Logout{Username: odd.text})},
			state{"error-" + odd.name, odd.name, same(pages.Error{Fault: pages.FaultOfApp, Description: odd.text, Back: "https://a.example/", BackTo: odd.text})},
		)
	}
	return states
}

// english is for content that does not depend on the language.
var english = texts.For("en", "", "")

// houses are the operators with whose look the gallery shows pages.
func houses(t *testing.T) map[string]pages.House {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, body []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	everywhere := pages.House{Help: "https://acme.example/help", Terms: "https://acme.example/terms", Privacy: "https://acme.example/privacy"}
	acme, accent := everywhere, everywhere
	acme.Name, acme.LogoFile = "Acme Accounts", file("wide.png", wideLogo(t))
	accent.Name, accent.LogoFile, accent.Accent, accent.AccentDark = "Grünhaus", file("square.svg", []byte(squareLogo)), "#1e6b3a", "#8ed3a4"
	all := map[string]pages.House{"": {Name: "id.acme.example"}, "acme": acme, "accent": accent}
	for _, odd := range oddNames {
		// The name of an operator must not contain invisible characters.
		all[odd.name] = pages.House{Name: strings.Map(func(r rune) rune {
			if strings.ContainsRune("\u202e\u202c\u2066\u200d", r) {
				return -1
			}
			return r
		}, odd.text), Help: "mailto:help@acme.example"}
	}
	return all
}

const squareLogo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><circle cx="32" cy="32" r="30" fill="#1e6b3a"/><path d="M18 40 32 16l14 24z" fill="#fff"/></svg>`

// wideLogo returns a picture of the largest size that a logo may have: a row of dots, and
// then bytes that are not shown.
func wideLogo(t *testing.T) []byte {
	t.Helper()
	picture := image.NewNRGBA(image.Rect(0, 0, 400, 100))
	for i, c := range []color.NRGBA{{0x1a, 0x5f, 0xb4, 0xff}, {0x26, 0x8b, 0xd2, 0xff}, {0x8e, 0x5a, 0xb8, 0xff}, {0xc0, 0x61, 0xcb, 0xff}} {
		for x := range 100 {
			for y := range 100 {
				if dx, dy := x-50, y-50; dx*dx+dy*dy < 46*46 {
					picture.Set(100*i+x, y, c)
				}
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 20<<10-b.Len()) // noise cannot be compressed
	rand.NewChaCha8([32]byte{}).Read(noise)
	return append(b.Bytes(), noise...)
}

// exhibition serves the gallery, and counts the requests of browsers and the bytes that
// they get.
type exhibition struct {
	*httptest.Server
	states          []state
	pages           map[string]*pages.Pages
	requests, bytes atomic.Int64
}

func exhibit(t *testing.T) *exhibition {
	t.Helper()
	e := &exhibition{states: gallery(), pages: map[string]*pages.Pages{}}
	for name, house := range houses(t) {
		var err error
		if e.pages[name], err = pages.New("/house-"+name, house); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	e.Server = httptest.NewUnstartedServer(e)
	e.Listener = counting{e.Listener, &e.bytes}
	e.Start()
	t.Cleanup(e.Close)
	return e
}

// counting counts what is written to the connections of a listener.
type counting struct {
	net.Listener
	bytes *atomic.Int64
}

func (c counting) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	return countingConn{conn, c.bytes}, err
}

type countingConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.bytes.Add(int64(n))
	return n, err
}

// address returns the address at which a state is shown.
func (e *exhibition) address(name, lang string) string {
	at := slices.IndexFunc(e.states, func(s state) bool { return s.name == name })
	return e.URL + "/house-" + e.states[at].house + "/" + lang + "/" + name
}

func (e *exhibition) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.requests.Add(1)
	switch r.URL.Path {
	case "/nowhere":
		w.WriteHeader(http.StatusNoContent)
		return
	case "/picture.png":
		w.Header().Set("Content-Type", "image/png")
		png.Encode(w, image.NewGray(image.Rect(0, 0, 48, 48)))
		return
	case "/broken":
		fmt.Fprint(w, broken)
		return
	}
	parts := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/house-"), "/", 3)
	if len(parts) < 3 || e.pages[parts[0]] == nil {
		http.NotFound(w, r)
		return
	}
	house := e.pages[parts[0]]
	if below := "/" + parts[1] + "/" + parts[2]; strings.HasPrefix(below, pages.AssetPath) {
		if house.Logo != nil && house.Logo.Path == below {
			time.Sleep(100 * time.Millisecond) // so that the page is shown before the logo
		}
		if !house.Asset(w, r, below) {
			http.NotFound(w, r)
		}
		return
	}
	at := slices.IndexFunc(e.states, func(s state) bool { return s.name == parts[2] })
	if at < 0 {
		http.NotFound(w, r)
		return
	}
	text := texts.For(parts[1], "", "")
	house.Write(w, pages.Shown{Text: text, RequestID: "01JB2Q3R4S5T6V7W8X9Y0Z1A2B", Here: "/" + parts[1] + "/" + parts[2]}, http.StatusOK, e.states[at].content(text))
}

// TestTheGalleryHasEveryPageInEveryState checks that no page and no text is missing from
// the gallery, so that nobody has to remember to add new ones.
func TestTheGalleryHasEveryPageInEveryState(t *testing.T) {
	t.Parallel()
	contents, faults, matters, said := shownByWeb(t)
	names := map[string]bool{}
	// kinds are the types of pages in the gallery; values are the strings in them, each
	// after its type; filled says for each field whether any page has a value in it.
	kinds, values, filled := map[string]bool{}, map[string]bool{}, map[string]bool{}
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		filled[name] = filled[name] || !v.IsZero()
		switch v.Kind() {
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				return
			}
			for i := range v.NumField() {
				walk(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(name, v.Index(i))
			}
		case reflect.String:
			values[v.Type().Name()+" "+v.String()] = true
		}
	}
	for _, s := range gallery() {
		if names[s.name] {
			t.Errorf("two states are called %s", s.name)
		}
		names[s.name] = true
		v := reflect.ValueOf(s.content(english))
		kinds[v.Type().Name()] = true
		walk(v.Type().Name(), v)
	}
	if got := slices.Sorted(maps.Keys(kinds)); !slices.Equal(got, contents) {
		t.Errorf("there are the pages %q, and shown are %q", contents, got)
	}
	for kind, all := range map[string][]string{"Fault": faults, "Matter": matters, "Name": said} {
		if len(all) < 4 {
			t.Errorf("of %s only %q were found", kind, all)
		}
		for _, value := range all {
			if !values[kind+" "+value] {
				t.Errorf("no state has the %s %q", kind, value)
			}
		}
	}
	for field, is := range filled {
		if !is && field != "Home" { // the page Home has no fields
			t.Errorf("no state has anything in %s", field)
		}
	}
	for _, house := range []string{"", "acme", "accent"} {
		if !slices.ContainsFunc(gallery(), func(s state) bool { return s.house == house }) {
			t.Errorf("nothing is shown of the house %q", house)
		}
	}
}

// shownByWeb reads the sources of package web and its pages. It returns which pages,
// faults and matters there are, and which texts web passes to pages by name.
func shownByWeb(t *testing.T) (contents, faults, matters, said []string) {
	t.Helper()
	set := token.NewFileSet()
	parse := func(dir string) (files []*ast.File) {
		names, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
		return files
	}
	// Other imports are not loaded. The type checker's errors about them do not matter.
	checked := map[string]*types.Package{}
	only := importing(func(path string) (*types.Package, error) {
		if pkg := checked[filepath.Base(path)]; pkg != nil && strings.Contains(path, "/web/pages") {
			return pkg, nil
		}
		return nil, os.ErrNotExist
	})
	check := func(name string, files []*ast.File) (*types.Package, *types.Info) {
		info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
		config := types.Config{Importer: only, Error: func(error) {}}
		pkg, _ := config.Check(name, set, files, info)
		checked[name] = pkg
		return pkg, info
	}
	check("texts", parse("../../../web/pages/texts"))
	known, _ := check("pages", parse("../../../web/pages"))
	content := known.Scope().Lookup("Content").Type().Underlying().(*types.Interface)
	for _, name := range known.Scope().Names() {
		switch of := known.Scope().Lookup(name).(type) {
		case *types.TypeName:
			if _, is := of.Type().Underlying().(*types.Struct); is && types.Implements(of.Type(), content) {
				contents = append(contents, name)
			}
		case *types.Const:
			value := strings.Trim(of.Val().ExactString(), `"`)
			switch types.TypeString(of.Type(), nil) {
			case "pages.Fault":
				faults = append(faults, value)
			case "pages.Matter":
				matters = append(matters, value)
			}
		}
	}
	files := parse("../../../web")
	_, info := check("web", files)
	// Names that web passes to a method of texts.Text are not counted: pages get the
	// text, not the name.
	readOut := map[ast.Expr]bool{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if call, is := n.(*ast.CallExpr); is {
				if method, is := call.Fun.(*ast.SelectorExpr); is && types.TypeString(info.Types[method.X].Type, nil) == "texts.Text" {
					for _, arg := range call.Args {
						readOut[arg] = true
					}
				}
			}
			return true
		})
	}
	found := map[string]bool{}
	for e, of := range info.Types {
		if of.Value != nil && types.TypeString(of.Type, nil) == "texts.Name" && !readOut[e] {
			if text := strings.Trim(of.Value.ExactString(), `"`); text != "" {
				found[text] = true
			}
		}
	}
	return contents, faults, matters, slices.Sorted(maps.Keys(found))
}

type importing func(path string) (*types.Package, error)

func (i importing) Import(path string) (*types.Package, error) { return i(path) }
