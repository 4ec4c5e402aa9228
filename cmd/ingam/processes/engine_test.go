package processes

import (
	"strings"
	"sync"
	"testing"

	"github.com/ingam/ingam/keys/openssl/openssltest"
	"github.com/ingam/ingam/verify"
)

// withLibrary is the setting by which a server finds a library that is not as it should be.
func withLibrary(t *testing.T, definitions ...string) string {
	return "LD_LIBRARY_PATH=" + openssltest.Folder(t, definitions...)
}

// TestTheEngineIsChosenAtStart checks what the released binary does with the library that
// it finds, and that one line of the log says what and why.
func TestTheEngineIsChosenAtStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings []string
		says     string
	}{
		"the system's":     {nil, `"msg":"RSA signatures are made by OpenSSL","version":"OpenSSL 3.`},
		"not wanted":       {[]string{"INGAM_KEYS_ENGINE=go"}, `"msg":"RSA signatures are made by crypto/rsa","reason":"keys.engine is go"`},
		"no library":       {[]string{withLibrary(t)}, `"msg":"RSA signatures are made by crypto/rsa","reason":"open the library: `},
		"too old":          {[]string{withLibrary(t, "VERSION=0x1010117fL")}, `is OpenSSL 1, not 3"`},
		"another major":    {[]string{withLibrary(t, "VERSION=0x40000000L")}, `is OpenSSL 4, not 3"`},
		"wrong signatures": {[]string{withLibrary(t, "GOOD=0", "WRONG")}, `its signature is not the one of crypto/rsa"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t).oneAtATime()
			d.settings = append(d.settings, c.settings...)
			s := d.start()
			if log := s.log.String(); strings.Count(log, "RSA signatures are made by") != 1 || !strings.Contains(log, c.says) {
				t.Errorf("%s", log)
			}
			token := s.token("app", d.client("app"))
			if _, err := d.verifier(verify.Config{}).Verify(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
	d := newDeployment(t).oneAtATime()
	s := d.launch(freeAddress(t), "INGAM_KEYS_ENGINE=openssl", withLibrary(t))
	<-s.waited
	if code := s.cmd.ProcessState.ExitCode(); code != failed || !strings.Contains(s.log.String(), "keys.engine is openssl: open the library: ") {
		t.Errorf("%d %s", code, s.log)
	}
}

// TestAnEngineThatFailsIsReplacedInTheMiddle: no request notices that the library stops
// working while many sign.
func TestAnEngineThatFailsIsReplacedInTheMiddle(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.settings = append(d.settings, withLibrary(t, "GOOD=40"))
	s := d.start()
	secret, v := d.client("app"), d.verifier(verify.Config{})
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 15 {
				if _, err := v.Verify(t.Context(), s.token("app", secret)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	asking.Wait()
	log := s.log.String()
	if n := strings.Count(log, "OpenSSL failed to sign; crypto/rsa signed instead"); n < 3 || n > 3+2*4 {
		t.Errorf("%d lines tell of a failure", n)
	}
	if strings.Count(log, "OpenSSL failed several times and is not used until the next start") != 1 {
		t.Error("it is not said, once, that the library is not used any more")
	}
}
