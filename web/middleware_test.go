package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestClientsHaveTheAddressThatTrustedProxiesSay(t *testing.T) {
	t.Parallel()
	const (
		xff = "x-forwarded-for"
		fwd = "forwarded"
	)
	// 10.0.0.0/8 and 2001:db8:ff::/48 are trusted.
	for name, c := range map[string]struct {
		header, peer string
		// lines are the values of the header that counts, or "Name: value" for
		// another header.
		lines []string
		want  string
	}{
		"nothing said":                  {xff, "10.0.0.1:1234", nil, "10.0.0.1"},
		"no proxy":                      {xff, "192.0.2.1:1234", []string{"203.0.113.9"}, "192.0.2.1"},
		"no proxy, IPv6 with a zone":    {xff, "[fe80::1%eth0]:1234", []string{"203.0.113.9"}, "fe80::1"},
		"a proxy by its mapped address": {xff, "[::ffff:10.0.0.1]:1234", []string{"203.0.113.9"}, "203.0.113.9"},
		"a proxy at an IPv6 address":    {xff, "[2001:db8:ff::1]:1234", []string{"203.0.113.9"}, "203.0.113.9"},
		"a socket without an address":   {xff, "@", []string{"203.0.113.9"}, "@"},

		"bare":                           {xff, "10.0.0.1:1", []string{"203.0.113.9"}, "203.0.113.9"},
		"with a port":                    {xff, "10.0.0.1:1", []string{"203.0.113.9:4711"}, "203.0.113.9"},
		"IPv6":                           {xff, "10.0.0.1:1", []string{"2001:DB8::1"}, "2001:db8::1"},
		"IPv6 in brackets":               {xff, "10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		"IPv6 with a port":               {xff, "10.0.0.1:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		"mapped":                         {xff, "10.0.0.1:1", []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"mapped with a port":             {xff, "10.0.0.1:1", []string{"[::ffff:203.0.113.9]:80"}, "203.0.113.9"},
		"with a zone":                    {xff, "10.0.0.1:1", []string{"[fe80::1%eth0]:80"}, "fe80::1"},
		"the client's own in front":      {xff, "10.0.0.1:1", []string{"198.51.100.1, 203.0.113.9:4711"}, "203.0.113.9"},
		"the client's own in a line":     {xff, "10.0.0.1:1", []string{"198.51.100.1", "203.0.113.9"}, "203.0.113.9"},
		"the client's own a proxy":       {xff, "10.0.0.1:1", []string{"10.0.0.9, 203.0.113.9"}, "203.0.113.9"},
		"a quote left open":              {xff, "10.0.0.1:1", []string{`", 203.0.113.9`}, "203.0.113.9"},
		"two proxies":                    {xff, "10.0.0.1:1", []string{"198.51.100.1,203.0.113.9,\t10.0.0.2:80"}, "203.0.113.9"},
		"two proxies, each with a line":  {xff, "10.0.0.1:1", []string{"198.51.100.1, 203.0.113.9", "[2001:db8:ff::2]:80"}, "203.0.113.9"},
		"a proxy whose client is nobody": {xff, "10.0.0.1:1", []string{"198.51.100.1, unknown, 10.0.0.2"}, "10.0.0.2"},
		"an empty entry":                 {xff, "10.0.0.1:1", []string{"198.51.100.1, "}, "10.0.0.1"},
		"an empty line":                  {xff, "10.0.0.1:1", []string{"198.51.100.1", ""}, "10.0.0.1"},
		"a name":                         {xff, "10.0.0.1:1", []string{"198.51.100.1, host.example:80"}, "10.0.0.1"},
		"IPv4 in brackets":               {xff, "10.0.0.1:1", []string{"[203.0.113.9]"}, "10.0.0.1"},
		"a port without an end":          {xff, "10.0.0.1:1", []string{"203.0.113.9:80:80"}, "10.0.0.1"},
		"a port that is none":            {xff, "10.0.0.1:1", []string{"203.0.113.9:http"}, "10.0.0.1"},
		"an address that is none":        {xff, "10.0.0.1:1", []string{"203.0.113.999:80"}, "10.0.0.1"},
		"brackets left open":             {xff, "10.0.0.1:1", []string{"[2001:db8::1"}, "10.0.0.1"},
		"proxies alone":                  {xff, "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"the other header does not help": {xff, "10.0.0.1:1", []string{"Forwarded: for=198.51.100.1"}, "10.0.0.1"},
		"the other header does no harm":  {xff, "10.0.0.1:1", []string{"Forwarded: for=198.51.100.1", "203.0.113.9"}, "203.0.113.9"},

		"Forwarded":                           {fwd, "10.0.0.1:1", []string{"for=203.0.113.9"}, "203.0.113.9"},
		"Forwarded by no proxy":               {fwd, "192.0.2.1:1", []string{"for=203.0.113.9"}, "192.0.2.1"},
		"Forwarded with all there is":         {fwd, "10.0.0.1:1", []string{`by=10.0.0.1; For="203.0.113.9:4711";host="a,b;c";proto=https`}, "203.0.113.9"},
		"Forwarded with a port":               {fwd, "10.0.0.1:1", []string{`for="203.0.113.9:4711"`}, "203.0.113.9"},
		"Forwarded with a hidden port":        {fwd, "10.0.0.1:1", []string{`for="203.0.113.9:_ga.z-on_k"`}, "203.0.113.9"},
		"Forwarded with a port, not quoted":   {fwd, "10.0.0.1:1", []string{"for=203.0.113.9:4711"}, "203.0.113.9"},
		"Forwarded, IPv6":                     {fwd, "10.0.0.1:1", []string{`for="[2001:db8::1]"`}, "2001:db8::1"},
		"Forwarded, IPv6 with a port":         {fwd, "10.0.0.1:1", []string{`FOR="[2001:db8::1]:4711"`}, "2001:db8::1"},
		"Forwarded, quoted pairs":             {fwd, "10.0.0.1:1", []string{`for="203.0.\113\.9"`}, "203.0.113.9"},
		"Forwarded, quotes in a string":       {fwd, "10.0.0.1:1", []string{`for=198.51.100.1, for=203.0.113.9;host="a\", for=198.51.100.2;x=\\"`}, "203.0.113.9"},
		"Forwarded, the client's own":         {fwd, "10.0.0.1:1", []string{"for=198.51.100.1, for=203.0.113.9"}, "203.0.113.9"},
		"Forwarded, the client's own line":    {fwd, "10.0.0.1:1", []string{"for=198.51.100.1", "for=203.0.113.9"}, "203.0.113.9"},
		"Forwarded, a quote left open":        {fwd, "10.0.0.1:1", []string{`for=", for=203.0.113.9`}, "203.0.113.9"},
		"Forwarded, one left open and a pair": {fwd, "10.0.0.1:1", []string{`for=198.51.100.1;x="\, for="[2001:db8::1]:4711"`}, "2001:db8::1"},
		"Forwarded, two proxies":              {fwd, "10.0.0.1:1", []string{`for=198.51.100.1, for="203.0.113.9:1", for=10.0.0.2`}, "203.0.113.9"},
		"Forwarded, unknown":                  {fwd, "10.0.0.1:1", []string{"for=198.51.100.1, for=unknown"}, "10.0.0.1"},
		"Forwarded, hidden":                   {fwd, "10.0.0.1:1", []string{"for=198.51.100.1, for=_SEVKISEK, for=10.0.0.2"}, "10.0.0.2"},
		"Forwarded without for":               {fwd, "10.0.0.1:1", []string{"for=198.51.100.1, proto=https"}, "10.0.0.1"},
		"Forwarded, for twice":                {fwd, "10.0.0.1:1", []string{"for=198.51.100.1;for=203.0.113.9"}, "10.0.0.1"},
		"Forwarded, for within a value":       {fwd, "10.0.0.1:1", []string{`host="x;for=198.51.100.1"`}, "10.0.0.1"},
		"Forwarded, a word":                   {fwd, "10.0.0.1:1", []string{"203.0.113.9"}, "10.0.0.1"},
		"Forwarded, the other does not help":  {fwd, "10.0.0.1:1", []string{"X-Forwarded-For: 198.51.100.1"}, "10.0.0.1"},
		"Forwarded, the other does no harm":   {fwd, "10.0.0.1:1", []string{"X-Forwarded-For: 198.51.100.1", "for=203.0.113.9"}, "203.0.113.9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			for _, line := range c.lines {
				if other, value, is := strings.Cut(line, ": "); is {
					r.Header.Add(other, value)
					continue
				}
				r.Header.Add(c.header, line)
			}
			trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:ff::/48")}
			if got, logged, audited := addressOf(r, forwarding{trusted, c.header}); got != c.want || logged != got || audited != strings.Trim(got, "@") {
				t.Errorf("%s, %s in the log and %s in the audit log, want %s", got, logged, audited, c.want)
			}
			if got, logged, audited := addressOf(r, forwarding{nil, c.header}); audited != strings.Trim(got, "@") || strings.Contains(got, "203.0.113.9") || logged != got || got != "@" && !netip.MustParseAddr(got).IsValid() {
				t.Errorf("%s, and %s in the log, where no proxy is trusted", got, logged)
			}
		})
	}
}

// addressOf returns the address that handlers see, and those of the log and of the audit log.
func addressOf(r *http.Request, f forwarding) (seen, logged, audited string) {
	rec := &record{}
	r = r.Clone(context.WithValue(r.Context(), recordKey{}, rec))
	addressed(f)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.RemoteAddr })).ServeHTTP(httptest.NewRecorder(), r)
	return seen, rec.address, rec.from.Address
}

func TestTheIssuersOriginIsAsBrowsersWriteIt(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]string{
		"https://id.example.com":            "https://id.example.com",
		"https://id.example.com/realm":      "https://id.example.com",
		"https://id.example.com:443/realm":  "https://id.example.com",
		"https://id.example.com:8443/realm": "https://id.example.com:8443",
		"https://id.example.com:80":         "https://id.example.com:80",
		"http://127.0.0.1:80":               "http://127.0.0.1",
		"http://[::1]:8080":                 "http://[::1]:8080",
	} {
		u, err := url.Parse(issuer)
		if err != nil {
			t.Fatal(err)
		}
		if got := originOf(u); got != want {
			t.Errorf("%s: %s, want %s", issuer, got, want)
		}
	}
}
