package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/ingam/ingam/config"
)

// load loads a configuration of a file's content, variables and flags.
func load(t *testing.T, file string, environ []string, args ...string) (*config.Config, error) {
	t.Helper()
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(f)
	path := filepath.Join(t.TempDir(), "ingam.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.Parse(append([]string{"--config", path}, args...)); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(f, environ)
	if err != nil {
		// The folder's name changes; the line does not.
		err = fmt.Errorf("%s", strings.ReplaceAll(err.Error(), path, "ingam.yaml"))
	}
	return c, err
}

func mustLoad(t *testing.T, file string, environ []string, args ...string) *config.Config {
	t.Helper()
	c, err := load(t, file, environ, args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaultsAreInEffectWhenNothingIsSet(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "", nil)
	if c.Listen != "127.0.0.1:8080" || c.Tokens.AccessTTL.Std() != 15*time.Minute || c.Keys.RotateEvery.Std() != 30*24*time.Hour ||
		c.HTTP.MaxBody != 64<<10 || c.Log.Level != slog.LevelInfo || c.Changes.Staleness.Std() != 2*time.Second {
		t.Errorf("got %+v", c)
	}
}

func TestFlagsWinOverVariablesOverTheFileOverDefaults(t *testing.T) {
	t.Parallel()
	file := "tokens:\n  access_ttl: 2m\nlisten: 127.0.0.1:1\nlog:\n  format: text\n"
	environ := []string{"INGAM_TOKENS_ACCESS_TTL=3m", "INGAM_LISTEN=127.0.0.1:2"}
	c := mustLoad(t, file, environ, "--tokens-access-ttl", "4m")
	if got := c.Tokens.AccessTTL.Std(); got != 4*time.Minute {
		t.Errorf("access_ttl %s, want the flag's", got)
	}
	if c.Listen != "127.0.0.1:2" {
		t.Errorf("listen %s, want the variable's", c.Listen)
	}
	if c.Log.Format != "text" {
		t.Errorf("format %s, want the file's", c.Log.Format)
	}
}

func TestWhatIsWrongIsNamedWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file    string
		environ []string
		args    []string
		want    []string
	}{
		"unknown key":              {file: "\nlisten: 127.0.0.1:1\nlissten: x\n", want: []string{"ingam.yaml:3: lissten: there is no such setting; did you mean listen?"}},
		"unknown nested key":       {file: "keys:\n  bit: 2048\n", want: []string{"ingam.yaml:2: keys.bit: there is no such setting; did you mean keys.bits?"}},
		"key twice":                {file: "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", want: []string{"ingam.yaml:2: listen: it is given twice"}},
		"section that is a value":  {file: "keys: 7\n", want: []string{"ingam.yaml:1: keys: settings are expected here"}},
		"value that is a section":  {file: "listen:\n  a: b\n", want: []string{"ingam.yaml:2: listen: a single value"}},
		"a list at the top":        {file: "- a\n", want: []string{"ingam.yaml:1:"}},
		"not YAML":                 {file: "a: [", want: []string{"ingam.yaml is not YAML"}},
		"duration":                 {file: "keys:\n  rotate_every: 3x\n", want: []string{`ingam.yaml:2: keys.rotate_every: "3x" is not a duration`}},
		"negative duration":        {environ: []string{"INGAM_TOKENS_SKEW=-1s"}, want: []string{`INGAM_TOKENS_SKEW: "-1s" is negative`}},
		"duration out of range":    {file: "tokens:\n  access_ttl: 25h\n", want: []string{"ingam.yaml:2: tokens.access_ttl: 25h is not from 1m to 1d"}},
		"duration of half seconds": {file: "tokens:\n  access_ttl: 90500ms\n", want: []string{"ingam.yaml:2: tokens.access_ttl: 1m30.5s is not a whole number"}},
		"size":                     {args: []string{"--http-max-body", "many"}, want: []string{`--http-max-body: "many" is not a size`}},
		"size out of range":        {environ: []string{"INGAM_HTTP_MAX_BODY=1"}, want: []string{"INGAM_HTTP_MAX_BODY: 1 is not from 1KiB to 64MiB"}},
		"size overflow":            {environ: []string{"INGAM_HTTP_MAX_BODY=9223372036854775807GiB"}, want: []string{"INGAM_HTTP_MAX_BODY:"}},
		"number":                   {environ: []string{"INGAM_POOL_MAX_OPEN=few"}, want: []string{`INGAM_POOL_MAX_OPEN: "few" is not a whole number`}},
		"bits":                     {environ: []string{"INGAM_KEYS_BITS=1024"}, want: []string{"INGAM_KEYS_BITS: 1024 is none of"}},
		"boolean":                  {environ: []string{"INGAM_ALLOW_INSECURE_ISSUER=perhaps"}, want: []string{"INGAM_ALLOW_INSECURE_ISSUER:"}},
		"level":                    {environ: []string{"INGAM_LOG_LEVEL=loud"}, want: []string{`INGAM_LOG_LEVEL: "loud" is not a level`}},
		"format":                   {environ: []string{"INGAM_LOG_FORMAT=xml"}, want: []string{`INGAM_LOG_FORMAT: "xml" is not a format`}},
		"misspelt variable":        {environ: []string{"INGAM_ISUER=https://a.example"}, want: []string{"INGAM_ISUER: there is no such setting; did you mean INGAM_ISSUER?"}},
		"issuer without scheme":    {environ: []string{"INGAM_ISSUER=id.example.com"}, want: []string{"INGAM_ISSUER: it is not an http or https URL"}},
		"issuer with slash":        {environ: []string{"INGAM_ISSUER=https://id.example.com/"}, want: []string{"leave it out: https://id.example.com"}},
		"issuer with query":        {environ: []string{"INGAM_ISSUER=https://id.example.com?a=b"}, want: []string{"query or a fragment"}},
		"issuer with fragment":     {environ: []string{"INGAM_ISSUER=https://id.example.com#"}, want: []string{"query or a fragment"}},
		"issuer with password":     {environ: []string{"INGAM_ISSUER=https://a:geheim@id.example.com"}, want: []string{"user name or password"}},
		"issuer in capitals":       {environ: []string{"INGAM_ISSUER=https://ID.example.com"}, want: []string{"capital letters"}},
		"issuer with dots":         {environ: []string{"INGAM_ISSUER=https://id.example.com/a/../b"}, want: []string{"another way"}},
		"issuer in the clear":      {environ: []string{"INGAM_ISSUER=http://id.example.com"}, want: []string{"is http"}},
		"loopback look-alike":      {environ: []string{"INGAM_ISSUER=http://127.0.0.1.example.com"}, want: []string{"is http"}},
		"listen without port":      {environ: []string{"INGAM_LISTEN=localhost"}, want: []string{"is not host:port"}},
		"listen with wild port":    {environ: []string{"INGAM_LISTEN=localhost:99999"}, want: []string{"has no port"}},
		"database of no kind":      {environ: []string{"INGAM_DATABASE=oracle://u:geheim@h/d"}, want: []string{"INGAM_DATABASE: it is none of"}},
		"database without path":    {environ: []string{"INGAM_DATABASE=sqlite:"}, want: []string{"INGAM_DATABASE: it is none of"}},
		"database and its file":    {environ: []string{"INGAM_DATABASE=sqlite:a", "INGAM_DATABASE_FILE=/nonexistent"}, want: []string{"INGAM_DATABASE_FILE:"}},
		"proxy":                    {environ: []string{"INGAM_HTTP_TRUSTED_PROXIES=10.0.0.0/8 proxy"}, want: []string{`"proxy" is neither an address nor a network`}},
		"origin with path":         {environ: []string{"INGAM_HTTP_CORS_ORIGINS=https://a.example/"}, want: []string{"is not an origin"}},
		"star and another origin":  {environ: []string{"INGAM_HTTP_CORS_ORIGINS=*,https://a.example"}, want: []string{"* stands alone"}},
		"rotation too fast":        {environ: []string{"INGAM_KEYS_ROTATE_EVERY=1h", "INGAM_KEYS_VERIFIER_CACHE=1h"}, want: []string{"INGAM_KEYS_ROTATE_EVERY:", "published ahead"}},
		"no time to answer":        {environ: []string{"INGAM_HTTP_WRITE_TIMEOUT=5s"}, want: []string{"INGAM_HTTP_WRITE_TIMEOUT:"}},
		"several at once":          {file: "a: 1\nb: 2\n", environ: []string{"INGAM_KEYS_BITS=x"}, want: []string{"ingam.yaml:1: a", "ingam.yaml:2: b", "INGAM_KEYS_BITS"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := load(t, test.file, test.environ, test.args...)
			if err == nil {
				t.Fatalf("it was taken: %+v", c)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error lacks %q:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error holds a password: %v", err)
			}
		})
	}
}

func TestWhatIsMissingIsNamedWithHowToMakeIt(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "", nil)
	err := c.Validate(config.ForServe)
	if err == nil {
		t.Fatal("complete")
	}
	for _, want := range []string{"INGAM_ISSUER", "INGAM_DATABASE", "INGAM_MASTER_KEY_FILE", "ingam master-key new"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v", want, err)
		}
	}
	c = mustLoad(t, "", []string{"INGAM_DATABASE=sqlite:a"})
	if err := c.Validate(config.ForDatabase); err != nil {
		t.Errorf("what a command does not need: %v", err)
	}
}

func TestVariablesThatOthersSetAreLeftAlone(t *testing.T) {
	t.Parallel()
	mustLoad(t, "", []string{
		"INGAM_TEST_POSTGRES=x", "INGAM_SERVICE_HOST=10.0.0.1", "INGAM_SERVICE_PORT=80", "INGAM_SERVICE_PORT_HTTP=80",
		"INGAM_PORT=tcp://10.0.0.1:80", "INGAM_PORT_80_TCP=tcp://10.0.0.1:80", "INGAM_PORT_80_TCP_ADDR=10.0.0.1", "PATH=/bin",
	})
}

func TestASecretMayComeFromAFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(path, []byte("postgres://u:geheim@h/d\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*config.Config{
		"file":     mustLoad(t, "database_file: "+path+"\n", nil),
		"variable": mustLoad(t, "", []string{"INGAM_DATABASE_FILE=" + path}),
		"flag":     mustLoad(t, "database: sqlite:other\n", nil, "--database-file", path),
	} {
		if got := c.Database.Reveal(); got != "postgres://u:geheim@h/d" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestASecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"postgres://u:geheim@h/d", "mysql://u:geheim@h/d", "postgres://h/d?password=geheim", "postgres://h/d?sslpassword=geheim",
		"postgres://u:geheim%zz@h/d",
	} {
		c := mustLoad(t, "", []string{"INGAM_DATABASE=" + url})
		j, err := json.Marshal(map[string]any{"d": c.Database})
		if err != nil {
			t.Fatal(err)
		}
		var log, printed bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "database", c.Database)
		if err := c.Print(&printed); err != nil {
			t.Fatal(err)
		}
		for how, text := range map[string]string{
			"%v": fmt.Sprintf("%v", c.Database), "%+v": fmt.Sprintf("%+v", c.Database), "%#v": fmt.Sprintf("%#v", c.Database),
			"print": fmt.Sprint(c.Database), "%q": fmt.Sprintf("%q", c.Database), "the whole": fmt.Sprintf("%+v", *c),
			"JSON": string(j), "log": log.String(), "config check": printed.String(),
		} {
			if strings.Contains(text, "geheim") {
				t.Errorf("%s of %s: %s", how, url, text)
			}
		}
	}
}

func TestWhatIsPrintedCanBeReadAgain(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "issuer: https://id.example.com/realm\nhttp:\n  trusted_proxies: [10.0.0.0/8, 192.168.1.1]\n  cors_origins:\n  - https://a.example\n  - https://b.example:8443\n",
		[]string{"INGAM_DATABASE=sqlite:a b.db"}, "--log-level", "debug", "--allow-insecure-issuer")
	var first, second bytes.Buffer
	if err := c.Print(&first); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# --log-level", "# INGAM_DATABASE", ":1\n", "# default"} {
		if !strings.Contains(first.String(), want) {
			t.Errorf("the sources lack %q:\n%s", want, &first)
		}
	}
	if err := mustLoad(t, first.String(), nil).Print(&second); err != nil {
		t.Fatal(err)
	}
	strip := func(s string) string {
		var b strings.Builder
		for line := range strings.Lines(s) {
			value, _, _ := strings.Cut(line, " # ")
			b.WriteString(strings.TrimSpace(value) + "\n")
		}
		return b.String()
	}
	if d := cmp.Diff(strip(first.String()), strip(second.String())); d != "" {
		t.Error(d)
	}
}

func TestAFileThatWasNamedMustBeThere(t *testing.T) {
	t.Parallel()
	f := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(f)
	if _, err := config.Load(f, []string{"INGAM_CONFIG=/nonexistent/ingam.yaml"}); err == nil {
		t.Error("a file that is not there was taken")
	}
}

func FuzzNoFileMakesLoadingPanic(f *testing.F) {
	for _, s := range []string{"", "a", "- a", "a: {b: c}", "keys: {bits: [1, 2]}", "&a [*a]", "? {a: b}\n: c", "issuer: !!binary aGk=", "\x00", "---\n---\n"} {
		f.Add(s)
	}
	path := filepath.Join(f.TempDir(), "ingam.yaml")
	f.Fuzz(func(t *testing.T, s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
		config.Flags(flags)
		config.Load(flags, []string{"INGAM_CONFIG=" + path})
	})
}
