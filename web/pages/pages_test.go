package pages

import (
	"io/fs"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/web/pages/texts"
	"golang.org/x/net/html"
)

// all has a page of each template.
var all = []Content{Login{}, NewPassword{}, DeadLink{}, Consent{}, Logout{}, Post{}, Account{}, Error{}, Home{}, Demo{}}

// shown returns Pages, and a Shown whose request id and path contain text.
func shown(t *testing.T, base, text string) (*Pages, Shown) {
	t.Helper()
	p, err := New(base, House{Name: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	return p, Shown{texts.For("", "", ""), text, "/" + text}
}

// evil are texts that people and applications could write into any field.
var evil = []string{
	`"><script>alert(1)</script><img src=x onerror=alert(1)>`,
	`'><svg onload=alert(1)><form action=https://evil.test>`,
	` onfocus=alert(1) autofocus x=`,
	`</title></style></script><script>alert(1)</script>`,
	`javascript:alert(1)`, `JaVaScRiPt\t:alert(1)//`, `data:text/html,<script>alert(1)</script>`, `//evil.test/`,
	`<!--`, `-->`, `{{.}}`, "\x00<b>", "\xff<b>", `&lt;b&gt;<b>`, "a\r\nSet-Cookie: a=b", "`${alert(1)}`",
}

// filled returns a page with text in each of its fields. It finds them by reflection, so
// that new fields are filled too. It sets booleans to on.
func filled(t *testing.T, c Content, text string, on bool) Content {
	t.Helper()
	v := reflect.New(reflect.TypeOf(c)).Elem()
	var fill func(name string, v reflect.Value)
	fill = func(name string, v reflect.Value) {
		if v.Type().PkgPath() == "html/template" {
			t.Fatalf("%s is trusted to be no markup", name)
		}
		switch v.Kind() {
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				v.Set(reflect.ValueOf(time.Date(2026, 11, 25, 9, 12, 0, 0, time.UTC)))
				return
			}
			for i := range v.NumField() {
				fill(name+"."+v.Type().Field(i).Name, v.Field(i))
			}
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			for i := range v.Len() {
				fill(name, v.Index(i))
			}
		case reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(name, key)
			fill(name, value)
			v.SetMapIndex(key, value)
		case reflect.String:
			switch v.Type() { // only this server chooses these
			case reflect.TypeFor[texts.Name]():
				v.SetString("wrong")
			case reflect.TypeFor[Fault]():
				v.SetString(string(FaultOfTime))
			case reflect.TypeFor[Matter]():
				v.SetString(string(EveryMatter))
			default:
				v.SetString(text)
			}
		case reflect.Int, reflect.Int64:
			v.SetInt(7)
		case reflect.Bool:
			v.SetBool(on)
		default:
			t.Fatalf("how is %s filled, which is a %s?", name, v.Type())
		}
	}
	fill(reflect.TypeOf(c).Name(), v)
	return v.Interface().(Content)
}

// shape returns the structure of a page without its texts: the elements, the names of their
// attributes, and everything that a browser would run. It returns the targets of links and
// forms separately.
func shape(t *testing.T, body string) (parts, links []string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.CommentNode:
			parts = append(parts, "<!--")
		case n.Type == html.TextNode && (n.Parent.Data == "script" || n.Parent.Data == "style"):
			parts = append(parts, n.Data)
		case n.Type == html.ElementNode:
			part := n.Data
			for _, a := range n.Attr {
				part += " " + a.Key
				switch a.Key {
				case "href", "src", "action", "formaction", "srcset", "data", "xlink:href":
					links = append(links, a.Val)
				case "style", "id", "class", "name", "type", "method", "for", "target":
					if n.Data != "input" || a.Key != "name" { // the names of the fields of a Post come from the request
						part += "=" + a.Val
					}
				}
			}
			parts = append(parts, part)
		}
	}
	return parts, links
}

// TestTimesAreNotSaidToBeShorterThanTheyAre: people who wait as long as they are told may
// try again, and a permission does not last longer than the page says.
func TestTimesAreNotSaidToBeShorterThanTheyAre(t *testing.T) {
	t.Parallel()
	text := texts.For("en", "", "")
	for d, want := range map[time.Duration]string{
		-time.Second: "in 2 seconds", 0: "in 2 seconds", 1: "in 2 seconds", 2*time.Second + 1: "in 3 seconds", 59 * time.Second: "in 59 seconds",
		59*time.Second + 1: "in a minute", time.Minute: "in a minute", time.Minute + 1: "in 2 minutes", 90 * time.Second: "in 2 minutes",
		2 * time.Minute: "in 2 minutes", 2*time.Minute + 1: "in 3 minutes", 15 * time.Minute: "in 15 minutes", 90 * time.Minute: "in 90 minutes",
	} {
		if got := text.Wait(d); !strings.HasSuffix(got, want+".") {
			t.Errorf("%s: %s, not %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		5 * time.Minute: "5 minutes", 5*time.Minute + time.Second: "6 minutes", time.Hour: "60 minutes", 2 * time.Hour: "2 hours", 150 * time.Minute: "150 minutes",
		24 * time.Hour: "24 hours", 48 * time.Hour: "2 days", 60 * time.Hour: "60 hours", 30 * 24 * time.Hour: "30 days", 48*time.Hour + time.Minute: "2881 minutes",
	} {
		if got := text.Span(d); got != want {
			t.Errorf("%s: %s, not %s", d, got, want)
		}
	}
}

func TestWhatIsShownIsNeverMarkup(t *testing.T) {
	t.Parallel()
	templates, err := fs.Glob(files, "*.html")
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, c := range all {
		known = append(known, c.form().template+".html")
	}
	slices.Sort(known)
	if left := slices.DeleteFunc(templates, func(name string) bool { return name == "frame.html" }); !slices.Equal(left, known) {
		t.Fatalf("there are the templates %q, and tried are %q", left, known)
	}
	write := func(c Content, text string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		p, to := shown(t, "/"+text, text)
		p.Write(w, to, 200, c)
		return w
	}
	for _, c := range all {
		for _, on := range []bool{true, false} {
			name := c.form().template
			plain, plainLinks := shape(t, write(filled(t, c, "harmless", on), "harmless").Body.String())
			for _, text := range evil {
				page := filled(t, c, text, on)
				w := write(page, text)
				got, links := shape(t, w.Body.String())
				if !slices.Equal(got, plain) {
					t.Errorf("%s with %q has another shape:\n%s", name, text, w.Body)
				}
				if len(links) != len(plainLinks) {
					t.Errorf("%s with %q leads to %q", name, text, links)
				}
				for _, link := range links {
					if u, err := url.Parse(link); err != nil || u.Scheme != "" && u.Scheme != "https" && u.Scheme != "http" {
						t.Errorf("%s with %q leads to %q", name, text, link)
					}
				}
				if policy, want := w.Header().Get("Content-Security-Policy"), policyOf(page.form()); policy != want {
					t.Errorf("%s with %q: the policy is %q, not %q", name, text, policy, want)
				}
				for field, values := range w.Header() {
					if strings.ContainsAny(strings.Join(values, ""), "\r\n") || strings.Contains(strings.Join(values, ""), "alert") {
						t.Errorf("%s with %q: %s is %q", name, text, field, values)
					}
				}
			}
		}
	}
}

// TestOnlyFormsThatStayAreHeldToTheirPlace: browsers apply form-action to every later
// redirect too, so pages that may lead to an application have none.
func TestOnlyFormsThatStayAreHeldToTheirPlace(t *testing.T) {
	t.Parallel()
	for _, c := range append(all, NewPassword{Link: "l"}) {
		name := c.form().template
		leads := slices.Contains([]string{"login", "newpassword", "consent", "logout", "post", "error"}, name)
		if c == Content(NewPassword{Link: "l"}) {
			leads = false // to the sign-in page of this server
		}
		policy := policyOf(c.form())
		if leads == strings.Contains(policy, "form-action") || leads == strings.Contains(policy, "form-action 'self'") {
			t.Errorf("%s: %s", name, policy)
		}
		if !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "base-uri 'none'") ||
			strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
			t.Errorf("%s: %s", name, policy)
		}
	}
}
