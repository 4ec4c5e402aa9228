package processes

import (
	"strings"
	"testing"
)

func TestAnotherIssuerOnTheSameDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	d := emptyDeployment(t, "").oneAtATime()
	first := d.issuer
	s := d.start()
	secret := d.client("app")
	token := s.token("app", secret)
	// A second instance starts with the same issuer.
	second := d.launch(freeAddress(t))
	second.awaitReady()
	second.stop()
	s.stop()

	// The other issuer has the same address for a person, but not for clients, which
	// compare issuers as text.
	other := strings.Replace(first, "127.0.0.1", "localhost", 1)
	at := "INGAM_LISTEN=" + strings.TrimPrefix(first, "http://")
	before := d.state()
	e := d.command("", []string{at, "INGAM_ISSUER=" + other}, "serve")
	if e.status != failed {
		t.Fatalf("%+v", e)
	}
	wantSaid(t, e.stderr, "belongs to the issuer "+first+",", "set up as "+other+":", "--accept-issuer", "set issuer to "+first+",")
	if after := d.state(); after != before {
		t.Errorf("the refused start changed something:\n%s\n%s", before, after)
	}
	s = d.start()
	if !s.active("app", secret, token) {
		t.Error("a token of before is not active")
	}
	s.stop()

	d.arguments = []string{"--accept-issuer"}
	s = d.launch(strings.TrimPrefix(first, "http://"), "INGAM_ISSUER="+other)
	s.awaitReady()
	wantSaid(t, s.log.String(), "the issuer was changed", first, other)
	if s.active("app", secret, token) {
		t.Error("a token of the former issuer is active")
	}
	s.stop()
	events := d.events(t, "server.issuer")
	if len(events) != 1 || events[0].Actor != operator() || events[0].Details["former_issuer"] != first || events[0].Details["issuer"] != other {
		t.Errorf("%+v", events)
	}
	if e := d.command("", []string{at}, "serve"); e.status != failed || !strings.Contains(e.stderr, "belongs to the issuer "+other+",") {
		t.Errorf("the former issuer is taken again: %+v", e)
	}
	// If the flag stays in the command, a later start changes nothing.
	s = d.launch(strings.TrimPrefix(first, "http://"), "INGAM_ISSUER="+other)
	s.awaitReady()
	if s.stop(); len(d.events(t, "server.issuer")) != 1 || strings.Contains(s.log.String(), "the issuer was changed") {
		t.Error("the issuer was changed once more")
	}
}
