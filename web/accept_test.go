package web

import "testing"

func TestAJWTIsSentToWhoeverAsksForIt(t *testing.T) {
	t.Parallel()
	const jwt = "application/token-introspection+jwt"
	for _, c := range []struct {
		fields []string
		want   bool
	}{
		{nil, false}, {[]string{""}, false}, {[]string{"*/*"}, false}, {[]string{"application/*"}, false}, {[]string{"application/json"}, false},
		{[]string{"text/html"}, false}, {[]string{"application/jwt"}, false},
		{[]string{jwt}, true}, {[]string{"Application/Token-Introspection+JWT"}, true}, {[]string{jwt + ";q=0.001"}, true}, {[]string{" " + jwt + " ; q=1.0 "}, true},
		{[]string{jwt + ", application/json"}, true}, {[]string{"application/json, " + jwt}, true}, {[]string{"application/json", jwt}, true},
		{[]string{jwt + ", */*;q=0.8"}, true}, {[]string{jwt + ";q=0.5, */*;q=0.1"}, true}, {[]string{jwt + ";q=0.5, application/json;q=0, */*"}, true},
		{[]string{jwt + ";q=0.5, */*"}, false}, {[]string{jwt + ";q=0.5, application/*;q=0.6, */*;q=0.1"}, false}, {[]string{jwt + ";q=0.5, application/json"}, false},
		{[]string{jwt + ";q=0"}, false}, {[]string{jwt + ";q=0, */*"}, false}, {[]string{jwt + ";q=0.0"}, false},
		{[]string{jwt + ";q=2"}, false}, {[]string{jwt + ";q=-1"}, false}, {[]string{jwt + ";q=NaN"}, false}, {[]string{jwt + ";q="}, false}, {[]string{jwt + ";q=x"}, false},
		{[]string{jwt + ";q=0.2, " + jwt + ";q=0.9, application/json;q=0.5"}, true},
		{[]string{",,;=,", jwt}, true}, {[]string{jwt + "x"}, false}, {[]string{"x" + jwt}, false},
	} {
		if got := parseAccept(c.fields).asks(jwt, "application/json"); got != c.want {
			t.Errorf("%q: %t", c.fields, got)
		}
	}
}
