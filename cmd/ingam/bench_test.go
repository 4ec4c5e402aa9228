package main

import (
	"crypto/rsa"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/config"
)

// TestEveryGrantTypeIsMeasured, and all that can be measured has a name that --only takes.
func TestEveryGrantTypeIsMeasured(t *testing.T) {
	t.Parallel()
	s, err := newBenchTarget("http://127.0.0.1:1", 1)
	if err != nil {
		t.Fatal(err)
	}
	r := &benchRecords{secrets: map[string]string{}}
	var names, measured []string
	for _, c := range r.ownCases(s, "a token") {
		names, measured = append(names, c.name), append(measured, c.grant)
	}
	for _, grant := range grants.Supported {
		if !slices.Contains(measured, grant) {
			t.Errorf("ingam bench has no case of the grant type %s: add one in benchcases.go", grant)
		}
	}
	for _, name := range names {
		if !slices.Contains(benchNames, name) {
			t.Errorf("%s is not among the names", name)
		}
	}
}

func TestNothingIsSentToAnotherHost(t *testing.T) {
	t.Parallel()
	s, err := newBenchTarget("https://id.test/a", 1)
	if err != nil {
		t.Fatal(err)
	}
	if path, err := s.pathOf("https://id.test/a/token?x=1"); err != nil || path != "/a/token?x=1" {
		t.Errorf("%q %v", path, err)
	}
	for _, elsewhere := range []string{"https://evil.test/a", "http://id.test/a", "https://id.test:444/a", "https://id.test@evil.test/", "/a", "%"} {
		if path, err := s.pathOf(elsewhere); err == nil {
			t.Errorf("%q is taken for %q", elsewhere, path)
		}
	}
	if s.discovery != "/a/.well-known/openid-configuration" {
		t.Errorf("the metadata is looked for at %s", s.discovery)
	}
}

func TestTheStatusListIsFoundInATokenAndNowhereElse(t *testing.T) {
	t.Parallel()
	const payload = "eyJzdGF0dXMiOnsic3RhdHVzX2xpc3QiOnsiaWR4IjoxLCJ1cmkiOiJodHRwczovL2lkLnRlc3QvMSJ9fX0"
	if got := listOf("e30." + payload + ".x"); got != "https://id.test/1" {
		t.Errorf("%q", got)
	}
	for _, token := range []string{"", "opaque", "e30.e30.x", "e30.!.x", "e30." + payload} {
		if got := listOf(token); got != "" {
			t.Errorf("%q names %q", token, got)
		}
	}
}

func TestAMetricIsReadByItsWholeName(t *testing.T) {
	t.Parallel()
	const text = "# HELP a\na_total_more 1\na_total{x=\"y\"} 2\na_total 1.5e+06\n"
	if v, err := metric([]byte(text), "a_total"); err != nil || v != 1.5e6 {
		t.Errorf("%v %v", v, err)
	}
	if v, err := metric([]byte(text), "b"); err == nil {
		t.Errorf("%v", v)
	}
}

func TestProgressIsSilentWhereNobodyLooks(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := newProgress(&out)
	p.say("token", 0.5)
	p.end()
	if out.Len() > 0 {
		t.Errorf("%q", out.String())
	}
	p.to = &out
	p.say("token", 0.504)
	p.end()
	p.end()
	if want := clearLine + "token, 50 %" + clearLine; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestTheServerIsStartedWithTheSettingsThatWereGiven(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("bench", pflag.ContinueOnError)
	config.Flags(flags)
	if err := flags.Parse([]string{"--keys-bits=3072", "--database", "sqlite:x.db", "--http-cors-origins", "https://a.test", "--http-cors-origins", "https://b.test"}); err != nil {
		t.Fatal(err)
	}
	got, database := settingsIn(flags)
	if want := []string{"--http-cors-origins=https://a.test", "--http-cors-origins=https://b.test", "--keys-bits=3072"}; !slices.Equal(got, want) || !database {
		t.Errorf("%q %t", got, database)
	}
}

// TestAnOwnSignatureIsOneOfTheServersKeys: with 4096 bits it takes seven times as long.
func TestAnOwnSignatureIsOneOfTheServersKeys(t *testing.T) {
	t.Parallel()
	for _, bits := range []int{2048, 3072} {
		b, err := newBench(&terminal{stderr: io.Discard}, benchOptions{}, "go", bits)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []int{2048, bits} {
			if key, ok := b.signers[i].Public().(*rsa.PublicKey); !ok || key.N.BitLen() != want {
				t.Errorf("with keys of %d bits, signer %d has %T of another size", bits, i, b.signers[i].Public())
			}
		}
	}
}
