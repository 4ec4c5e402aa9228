package clients

import "testing"

func TestHomeIsTheHostByWhichPeopleKnowAClient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		redirects, origins []string
		want               string
	}{
		{[]string{"https://print.example.com/cb"}, nil, "print.example.com"},
		{[]string{"https://Print.Example.com:443/cb?x=1"}, nil, "print.example.com"},
		{[]string{"https://print.example.com:8443/cb"}, nil, "print.example.com:8443"},
		{[]string{"com.example.app:/cb", "https://app.example.com/cb", "https://other.example.com/cb"}, nil, "app.example.com"},
		{nil, []string{"https://spa.example.com"}, "spa.example.com"},
		{[]string{"http://intranet/cb"}, []string{"https://spa.example.com"}, "spa.example.com"},
		{[]string{"http://intranet:80/cb"}, nil, "intranet"},
		{[]string{"https://[2001:db8::1]/cb"}, nil, "[2001:db8::1]"},
		// These addresses are on the user's own device.
		{[]string{"com.example.app:/cb"}, nil, ""},
		{[]string{"myapp://cb.example.com/x"}, nil, ""},
		{[]string{"http://127.0.0.1/cb", "http://[::1]/cb", "https://localhost:3000/cb", "http://app.localhost/cb"}, []string{"http://localhost:3000"}, ""},
		{nil, nil, ""},
	} {
		if got := (&Client{RedirectURIs: c.redirects, Origins: c.origins}).Home(); got != c.want {
			t.Errorf("of %q and %q: %q, not %q", c.redirects, c.origins, got, c.want)
		}
	}
}
