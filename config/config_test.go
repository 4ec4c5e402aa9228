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
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/pflag"

	"github.com/ingam/ingam/config"
)

// load loads a configuration from the content of a file, variables and flags.
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
		// The name of the folder differs in each test; the line in the file does
		// not.
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
		c.HTTP.MaxBody != 64<<10 || c.Log.Level.Level() != slog.LevelInfo || c.Changes.Staleness.Std() != 2*time.Second {
		t.Errorf("got %+v", c)
	}
}

func TestAnIssuerOnThisMachineMayBeHTTP(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost:8080", "http://id.localhost:8080"} {
		if c := mustLoad(t, "", []string{"INGAM_ISSUER=" + issuer}); c.Issuer.String() != issuer {
			t.Errorf("%s is %s", issuer, c.Issuer)
		}
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
		"unknown key":               {file: "\nlisten: 127.0.0.1:1\nlissten: x\n", want: []string{"ingam.yaml:3: lissten: there is no such setting; did you mean listen?"}},
		"unknown nested key":        {file: "keys:\n  bit: 2048\n", want: []string{"ingam.yaml:2: keys.bit: there is no such setting; did you mean keys.bits?"}},
		"key twice":                 {file: "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", want: []string{"ingam.yaml:2: listen: it is given twice"}},
		"section that is a value":   {file: "keys: 7\n", want: []string{"ingam.yaml:1: keys: settings are expected here"}},
		"value that is a section":   {file: "listen:\n  a: b\n", want: []string{"ingam.yaml:2: listen: a single value"}},
		"a list at the top":         {file: "- a\n", want: []string{"ingam.yaml:1:"}},
		"not YAML":                  {file: "issuer: a\nlisten: a: b\nlog: {}\n", want: []string{"ingam.yaml:2: it is not YAML"}},
		"duration":                  {file: "keys:\n  rotate_every: 3x\n", want: []string{`ingam.yaml:2: keys.rotate_every: "3x" is not a duration`}},
		"negative duration":         {environ: []string{"INGAM_TOKENS_SKEW=-1s"}, want: []string{`INGAM_TOKENS_SKEW: "-1s" is negative`}},
		"duration out of range":     {file: "tokens:\n  access_ttl: 25h\n", want: []string{"ingam.yaml:2: tokens.access_ttl: 25h is not from 1m to 1d"}},
		"duration of half seconds":  {file: "tokens:\n  access_ttl: 90500ms\n", want: []string{"ingam.yaml:2: tokens.access_ttl: 1m30.5s is not a whole number"}},
		"size":                      {args: []string{"--http-max-body", "many"}, want: []string{`--http-max-body: "many" is not a size`}},
		"size out of range":         {environ: []string{"INGAM_HTTP_MAX_BODY=1"}, want: []string{"INGAM_HTTP_MAX_BODY: 1 is not from 1KiB to 64MiB"}},
		"size overflow":             {environ: []string{"INGAM_HTTP_MAX_BODY=9223372036854775807GiB"}, want: []string{"INGAM_HTTP_MAX_BODY:"}},
		"number":                    {environ: []string{"INGAM_POOL_MAX_OPEN=few"}, want: []string{`INGAM_POOL_MAX_OPEN: "few" is not a whole number`}},
		"bits":                      {environ: []string{"INGAM_KEYS_BITS=1024"}, want: []string{"INGAM_KEYS_BITS: 1024 is none of"}},
		"boolean":                   {environ: []string{"INGAM_ALLOW_INSECURE_ISSUER=perhaps"}, want: []string{"INGAM_ALLOW_INSECURE_ISSUER:"}},
		"level":                     {environ: []string{"INGAM_LOG_LEVEL=loud"}, want: []string{`INGAM_LOG_LEVEL: "loud" is not a level`}},
		"format":                    {environ: []string{"INGAM_LOG_FORMAT=xml"}, want: []string{`INGAM_LOG_FORMAT: "xml" is not a format`}},
		"rule for PKCE":             {environ: []string{"INGAM_CLIENTS_PKCE=never"}, want: []string{`INGAM_CLIENTS_PKCE: "never" is not a rule for PKCE; there are required, nonce and optional`}},
		"header of proxies":         {environ: []string{"INGAM_HTTP_FORWARDED_HEADER=x-real-ip"}, want: []string{`INGAM_HTTP_FORWARDED_HEADER: "x-real-ip" is no header that proxies write; there are x-forwarded-for and forwarded`}},
		"claims that are no list":   {file: "claims: department\n", want: []string{"ingam.yaml:1: claims: a list is expected here"}},
		"claims without a scope":    {file: "claims:\n- claims: [a]\n", want: []string{"ingam.yaml:2: claims: scope is missing"}},
		"a scope without claims":    {file: "claims:\n- scope: a\n  claims: []\n- scope: b\n", want: []string{"ingam.yaml:3: claims: claims is a list of names", "ingam.yaml:4: claims: claims is missing"}},
		"claims that are no names":  {file: "claims:\n- scope: a\n  claims: [a, [b], ~]\n  text: [c]\n", want: []string{"ingam.yaml:3: claims: claims is a list of names", "ingam.yaml:4: claims: text is a single value"}},
		"a misspelt part of claims": {file: "claims:\n- scope: a\n  claim: [a]\n", want: []string{`ingam.yaml:3: claims: there is no "claim" here; there are scope, claims, text and text_ko`}},
		"a part of claims twice":    {file: "claims:\n- scope: a\n  claims: [a]\n  scope: b\n", want: []string{`ingam.yaml:4: claims: "scope" is given twice`}},
		"claims in a variable":      {environ: []string{"INGAM_CLAIMS=[{scope: a, claims: [a], label: x}]"}, want: []string{`INGAM_CLAIMS: there is no "label" here`}},
		"claims that are not YAML":  {environ: []string{"INGAM_CLAIMS=[{"}, want: []string{"INGAM_CLAIMS: it is not a list in YAML or JSON"}},
		"misspelt variable":         {environ: []string{"INGAM_ISUER=https://a.example"}, want: []string{"INGAM_ISUER: there is no such setting; did you mean INGAM_ISSUER?"}},
		"issuer without scheme":     {environ: []string{"INGAM_ISSUER=id.example.com"}, want: []string{"INGAM_ISSUER: it is not an http or https URL"}},
		"issuer with slash":         {environ: []string{"INGAM_ISSUER=https://id.example.com/"}, want: []string{"leave it out: https://id.example.com"}},
		"issuer with query":         {environ: []string{"INGAM_ISSUER=https://id.example.com?a=b"}, want: []string{"query or a fragment"}},
		"issuer with fragment":      {environ: []string{"INGAM_ISSUER=https://id.example.com#"}, want: []string{"query or a fragment"}},
		"issuer with password":      {environ: []string{"INGAM_ISSUER=https://a:geheim@id.example.com"}, want: []string{"user name or password"}},
		"issuer in capitals":        {environ: []string{"INGAM_ISSUER=https://ID.example.com"}, want: []string{"capital letters"}},
		"issuer with dots":          {environ: []string{"INGAM_ISSUER=https://id.example.com/a/../b"}, want: []string{"another way"}},
		"issuer in the clear":       {environ: []string{"INGAM_ISSUER=http://id.example.com"}, want: []string{"is http"}},
		"loopback look-alike":       {environ: []string{"INGAM_ISSUER=http://127.0.0.1.example.com"}, want: []string{"is http"}},
		"localhost look-alike":      {environ: []string{"INGAM_ISSUER=http://evillocalhost"}, want: []string{"is http"}},
		"listen without port":       {environ: []string{"INGAM_LISTEN=localhost"}, want: []string{"is not host:port"}},
		"listen with wild port":     {environ: []string{"INGAM_LISTEN=localhost:99999"}, want: []string{"has no port"}},
		"database of no kind":       {environ: []string{"INGAM_DATABASE=oracle://u:geheim@h/d"}, want: []string{"INGAM_DATABASE: it is none of"}},
		"database without path":     {environ: []string{"INGAM_DATABASE=sqlite:"}, want: []string{"INGAM_DATABASE: it is none of"}},
		"database and its file":     {environ: []string{"INGAM_DATABASE=sqlite:a", "INGAM_DATABASE_FILE=/nonexistent"}, want: []string{"INGAM_DATABASE_FILE:"}},
		"proxy":                     {environ: []string{"INGAM_HTTP_TRUSTED_PROXIES=10.0.0.0/8 proxy"}, want: []string{`"proxy" is neither an address nor a network`}},
		"origin with path":          {environ: []string{"INGAM_HTTP_CORS_ORIGINS=https://a.example/"}, want: []string{"is not an origin"}},
		"star and another origin":   {environ: []string{"INGAM_HTTP_CORS_ORIGINS=*,https://a.example"}, want: []string{"* stands alone"}},
		"rotation too fast":         {environ: []string{"INGAM_KEYS_ROTATE_EVERY=1h", "INGAM_KEYS_VERIFIER_CACHE=1h"}, want: []string{"INGAM_KEYS_ROTATE_EVERY:", "published ahead"}},
		"no time to answer":         {environ: []string{"INGAM_HTTP_WRITE_TIMEOUT=5s"}, want: []string{"INGAM_HTTP_WRITE_TIMEOUT:"}},
		"issuer with wild port":     {environ: []string{"INGAM_ISSUER=https://id.example.com:99999"}, want: []string{"no port from 1 to 65535"}},
		"issuer with no port":       {environ: []string{"INGAM_ISSUER=https://id.example.com:"}, want: []string{"no port from 1 to 65535"}},
		"issuer in another script":  {environ: []string{"INGAM_ISSUER=https://인감.example"}, want: []string{"xn--"}},
		"issuer, scheme shouted":    {environ: []string{"INGAM_ISSUER=HTTPS://id.example.com"}, want: []string{"it is not an http or https URL"}},
		"database, / in password":   {environ: []string{"INGAM_DATABASE=postgres://u:12/geheim@h/d"}, want: []string{"INGAM_DATABASE: it cannot be parsed", "percent-encoded"}},
		"database, ? in password":   {environ: []string{"INGAM_DATABASE=postgres://u:12?geheim@h/d"}, want: []string{"INGAM_DATABASE: it cannot be parsed"}},
		"database, # in password":   {environ: []string{"INGAM_DATABASE=mysql://u:12#geheim@h/d"}, want: []string{"INGAM_DATABASE: it cannot be parsed"}},
		"database, % in password":   {environ: []string{"INGAM_DATABASE=mysql://u:geheim%zz@h/d"}, want: []string{"INGAM_DATABASE: it cannot be parsed"}},
		"database, wild port":       {environ: []string{"INGAM_DATABASE=mysql://u:geheim@h:abc/d"}, want: []string{"INGAM_DATABASE: it cannot be parsed"}},
		"database, wild parameter":  {environ: []string{"INGAM_DATABASE=postgres://h/d?x=1;password=geheim"}, want: []string{"INGAM_DATABASE: it cannot be parsed"}},
		"database in memory":        {environ: []string{"INGAM_DATABASE=sqlite::memory:"}, want: []string{"name a file"}},
		"database as a URL":         {environ: []string{"INGAM_DATABASE=sqlite://a.db"}, want: []string{"write sqlite:PATH"}},
		"database where a file is":  {environ: []string{"INGAM_DATABASE_FILE=postgres://u:geheim@h/d"}, want: []string{"INGAM_DATABASE_FILE: the value cannot be read: no such file"}},
		"database where listen is":  {environ: []string{"INGAM_LISTEN=postgres://u:geheim@h/d"}, want: []string{"INGAM_LISTEN: the value is not host:port"}},
		"database where time is":    {file: "tokens:\n  access_ttl: postgres://u:geheim@h/d\n", want: []string{"ingam.yaml:2: tokens.access_ttl: the value is not a duration"}},
		"empty secret file":         {environ: []string{"INGAM_DATABASE_FILE=/dev/null"}, want: []string{"INGAM_DATABASE_FILE: the file is empty"}},
		"password like an anchor":   {file: "database: *geheim\n", want: []string{"ingam.yaml:1: it is not YAML", "in quotes"}},
		"two documents":             {file: "listen: 127.0.0.1:9\n---\nlisten: 127.0.0.1:10\n", want: []string{"ingam.yaml:", "a second document"}},
		"broken second document":    {file: "listen: 127.0.0.1:9\n---\na: [\n", want: []string{"it is not YAML"}},
		"key with a dot":            {file: "keys.bits: 3072\n", want: []string{"ingam.yaml:1: keys.bits: write bits under keys:"}},
		"key that is a mapping":     {file: "? {a: b}\n: c\n", want: []string{"ingam.yaml:1: a name is expected"}},
		"key without its section":   {file: "access_ttl: 5m\n", want: []string{"did you mean tokens.access_ttl?"}},
		"nothing after a key":       {file: "issuer:\n", want: []string{"ingam.yaml:1: issuer: it has no value"}},
		"a list for one value":      {file: "master_key_file: [a, b]\n", want: []string{"ingam.yaml:1: master_key_file: a single value"}},
		"one value for a list":      {file: "http:\n  trusted_proxies: 10.0.0.1\n", want: []string{"ingam.yaml:2: http.trusted_proxies: a list"}},
		"one item of a list":        {file: "http:\n  trusted_proxies:\n  - 10.0.0.1\n  - proxy\n", want: []string{`ingam.yaml:4: http.trusted_proxies: "proxy" is neither`}},
		"NUL in a file":             {file: "master_key_file: \"a\\0b\"\n", want: []string{"ingam.yaml:1: master_key_file: it holds a NUL"}},
		"NUL in a variable":         {environ: []string{"INGAM_LISTEN=127.0.0.1\x00:80"}, want: []string{"INGAM_LISTEN: it holds a NUL"}},
		"not UTF-8":                 {environ: []string{"INGAM_MASTER_KEY_FILE=a\xff"}, want: []string{"INGAM_MASTER_KEY_FILE: it holds"}},
		"level with a number":       {environ: []string{"INGAM_LOG_LEVEL=info+3"}, want: []string{"INGAM_LOG_LEVEL:"}},
		"word too many":             {environ: []string{"INGAM_DATABASE_URL=x"}, want: []string{"did you mean INGAM_DATABASE?"}},
		"variable sans section":     {environ: []string{"INGAM_ACCESS_TTL=1m"}, want: []string{"did you mean INGAM_TOKENS_ACCESS_TTL?"}},
		"port that is no service":   {environ: []string{"INGAM_LISTEN_PORT=80"}, want: []string{"INGAM_LISTEN_PORT: there is no such setting"}},
		"origin with wildcard":      {environ: []string{"INGAM_HTTP_CORS_ORIGINS=https://*.example"}, want: []string{"is not an origin"}},
		"origin that is no site":    {environ: []string{"INGAM_HTTP_CORS_ORIGINS=ftp://a.example"}, want: []string{"is not an origin"}},
		"key set for half seconds":  {environ: []string{"INGAM_KEYS_JWKS_MAX_AGE=10500ms"}, want: []string{"INGAM_KEYS_JWKS_MAX_AGE: 10.5s is not a whole number"}},
		"skew as long as a token":   {environ: []string{"INGAM_TOKENS_SKEW=1m", "INGAM_TOKENS_ACCESS_TTL=1m"}, want: []string{"INGAM_TOKENS_SKEW: tokens.skew, 1m, is not shorter"}},
		"idle beyond open":          {environ: []string{"INGAM_POOL_MAX_OPEN=2", "INGAM_POOL_MAX_IDLE=3"}, want: []string{"INGAM_POOL_MAX_IDLE: pool.max_idle, 3, is more than"}},
		"header beyond request":     {environ: []string{"INGAM_HTTP_READ_HEADER_TIMEOUT=20s"}, want: []string{"INGAM_HTTP_READ_HEADER_TIMEOUT:"}},
		"rule's other setting":      {environ: []string{"INGAM_HTTP_REQUEST_TIMEOUT=1m"}, want: []string{"INGAM_HTTP_REQUEST_TIMEOUT: http.write_timeout, 15s, leaves no time"}},
		"reading and range at once": {file: "keys:\n  bits: 5\nlog:\n  level: loud\n", want: []string{"ingam.yaml:2: keys.bits: 5 is none of", "ingam.yaml:4: log.level:"}},
		"several at once":           {file: "a: 1\nb: 2\n", environ: []string{"INGAM_KEYS_BITS=x"}, want: []string{"ingam.yaml:1: a", "ingam.yaml:2: b", "INGAM_KEYS_BITS"}},
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
		"INGAM_DB_SERVICE_HOST=10.0.0.2", "INGAM_DB_SERVICE_PORT=5432", "INGAM_DB_PORT=tcp://10.0.0.2:5432", "INGAM_DB_PORT_5432_TCP_PORT=5432",
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
		"mysql://h/d?pwd=geheim", "postgres://h/d?authToken=geheim&client_secret=geheim",
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
			"print": fmt.Sprint(c.Database), "%q": fmt.Sprintf("%q", c.Database), "%d": fmt.Sprintf("%d", c.Database), "%s in a struct": fmt.Sprintf("%s", struct{ D config.Secret }{c.Database}),
			"the whole": fmt.Sprintf("%+v", *c),
			"JSON":      string(j), "log": log.String(), "config check": printed.String(),
		} {
			if strings.Contains(text, "geheim") {
				t.Errorf("%s of %s: %s", how, url, text)
			}
		}
	}
}

func TestWhatIsPrintedCanBeReadAgain(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "issuer: https://id.example.com/realm\nhttp:\n  trusted_proxies: [10.0.0.0/8, 192.168.1.1]\n  cors_origins:\n  - https://a.example\n  - https://b.example:8443\nclaims:\n- scope: department\n  claims: [department, cost_center]\n  text: 'see your \"department\", <b> & more: # 1'\n- {scope: b, claims: [b], text_ko: 보기}\n",
		[]string{"INGAM_DATABASE=sqlite:a b.db", "INGAM_MASTER_KEY_FILE=a\nb: # c"}, "--log-level", "debug", "--allow-insecure-issuer")
	var first, second bytes.Buffer
	if err := c.Print(&first); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# --log-level", "# INGAM_DATABASE", ":1\n", "# default"} {
		if !strings.Contains(first.String(), want) {
			t.Errorf("the sources lack %q:\n%s", want, &first)
		}
	}
	again := mustLoad(t, first.String(), nil)
	if d := cmp.Diff(c.Claims, again.Claims, cmpopts.IgnoreFields(config.ClaimScope{}, "At")); d != "" || len(c.Claims) != 2 || c.Claims[1].TextKo != "보기" {
		t.Errorf("claims became %+v: %s", again.Claims, d)
	}
	if want, err := filepath.Abs(c.MasterKeyFile); err != nil || again.MasterKeyFile != want {
		t.Errorf("master_key_file became %q, not %q: %v", again.MasterKeyFile, want, err)
	}
	if err := again.Print(&second); err != nil {
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

func TestAValueMayStandElsewhereInTheFile(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "tokens:\n  access_ttl: &life 5m\nkeys:\n  jwks_max_age: *life\n", nil)
	if got := c.Keys.JWKSMaxAge.Std(); got != 5*time.Minute {
		t.Errorf("jwks_max_age %s, want what the anchor has", got)
	}
}

func TestAListGrowsWithEachFlagAndCanBeEmpty(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, "http:\n  cors_origins: []\n", nil, "--http-trusted-proxies", "10.0.0.1", "--http-trusted-proxies", "10.0.0.2,10.1.0.0/16")
	if len(c.HTTP.TrustedProxies) != 3 || len(c.HTTP.CORSOrigins) != 0 {
		t.Errorf("proxies %v, origins %v", c.HTTP.TrustedProxies, c.HTTP.CORSOrigins)
	}
}

func TestASmallPoolNeedsNoSecondSetting(t *testing.T) {
	t.Parallel()
	mustLoad(t, "", []string{"INGAM_POOL_MAX_OPEN=2", "INGAM_HTTP_READ_TIMEOUT=2s"})
}

func TestOneLineBreakEndsASecretFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "url")
	for content, want := range map[string]string{"sqlite:a": "sqlite:a", "sqlite:a\n": "sqlite:a", "sqlite:a\r\n": "sqlite:a"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := mustLoad(t, "", []string{"INGAM_DATABASE_FILE=" + path}).Database.Reveal(); got != want {
			t.Errorf("%q gave %q", content, got)
		}
	}
}

func TestARelativePathInTheFileIsRelativeToTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// The working directory of these tests has a file config.go.
	here, err := filepath.Abs("config.go")
	if err != nil {
		t.Fatal(err)
	}
	write("both/config.go", "")
	write("secret/url", "sqlite:data/a.db\n")
	for name, test := range map[string]struct {
		file    string
		environ []string
		// want are lines of the output of config check, in dir; refused are parts
		// of the error.
		want    []string
		refused []string
	}{
		"a database":        {file: "database: sqlite:data/a.db\n", want: []string{"database: sqlite:DIR/data/a.db"}},
		"a folder above":    {file: "database: sqlite:../a.db\n", want: []string{"database: sqlite:" + filepath.Dir(dir) + "/a.db"}},
		"a master key":      {file: "master_key_file: a.key\n", want: []string{"master_key_file: DIR/a.key"}},
		"a logo":            {file: "pages:\n  logo_file: a.svg\n", want: []string{"logo_file: DIR/a.svg"}},
		"a secret's file":   {file: "database_file: secret/url\n", want: []string{"database: sqlite:DIR/data/a.db"}},
		"an absolute path":  {file: "database: sqlite:/a/b.db\nmaster_key_file: /a/c\n", want: []string{"database: sqlite:/a/b.db", "master_key_file: /a/c"}},
		"what is no path":   {file: "database: postgres://h/d\n", want: []string{"database: postgres://h/d"}},
		"variables":         {environ: []string{"INGAM_DATABASE=sqlite:config.go", "INGAM_MASTER_KEY_FILE=config.go"}, want: []string{"database: sqlite:" + here, "master_key_file: " + here}},
		"a variable wins":   {file: "database: sqlite:config.go\n", environ: []string{"INGAM_DATABASE=sqlite:/a/b.db"}, want: []string{"database: sqlite:/a/b.db"}},
		"found in both":     {file: "database: sqlite:both/config.go\nmaster_key_file: both/config.go\n", want: []string{"database: sqlite:DIR/both/config.go"}},
		"found here alone":  {file: "database: sqlite:config.go\n", refused: []string{"DIR/ingam.yaml:1: database: there is no DIR/config.go", here}},
		"a key here alone":  {file: "\nmaster_key_file: config.go\n", refused: []string{"DIR/ingam.yaml:2: master_key_file: there is no DIR/config.go", here}},
		"a logo here alone": {file: "pages: {logo_file: config.go}\n", refused: []string{"pages.logo_file: there is no DIR/config.go", here}},
		"its file here":     {file: "database_file: config.go\n", refused: []string{"database_file: there is no DIR/config.go", here}},
		"its file nowhere":  {file: "database_file: none\n", refused: []string{"database_file:", "cannot be read"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := write("ingam.yaml", test.file)
			f := pflag.NewFlagSet("test", pflag.ContinueOnError)
			config.Flags(f)
			c, err := config.Load(f, append(test.environ, "INGAM_CONFIG="+path))
			if len(test.refused) > 0 {
				for _, part := range test.refused {
					if part = strings.ReplaceAll(part, "DIR", dir); err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("the error lacks %q: %v", part, err)
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var printed strings.Builder
			if err := c.Print(&printed); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if want = strings.ReplaceAll(want, "DIR", dir) + " "; !strings.Contains(printed.String(), want) {
					t.Errorf("what is in effect lacks %q:\n%s", want, &printed)
				}
			}
		})
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
