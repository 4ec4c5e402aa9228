package processes

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// document is a document whose commands are run in the order in which they are printed.
type document struct {
	path, issuer string
	// before are commands that must run first: of another document, or the reader's
	// own.
	before []string
}

// firstSteps are the commands of the README, with which other documents begin.
var firstSteps = []string{
	`ingam api create --audience https://api.example.com --name "Orders" --scope "read write"`,
	`ingam client create --id job --name "Nightly job" --auth client_secret_basic --grant client_credentials --scope "read write" --audience https://api.example.com --secret-file job.secret`,
	`echo 'correct horse battery staple' | ingam user create --username minji --email minji@example.com --claims '{"name": "Kim Minji", "nickname": "MJ"}' --password-stdin`,
}

var documents = []document{
	{"README.md", "http://localhost:8080", nil},
	{"ARCHITECTURE.md", "http://localhost:8080", firstSteps},
	{"docs/administration.md", "https://id.example.com", append(slices.Clip(firstSteps), `ingam user create --username juno --generate`)},
	{"docs/apps.md", "http://localhost:8080", firstSteps},
	{"docs/audit.md", "https://id.example.com", firstSteps},
	{"docs/backup.md", "http://localhost:8080", firstSteps},
	{"docs/choosing.md", "https://id.example.com", nil},
	{"docs/choosing.ko.md", "https://id.example.com", nil},
	{"docs/clusters.md", "http://localhost:8080", firstSteps},
	{"docs/configuration.md", "http://localhost:8080", firstSteps},
	{"docs/endpoints.md", "http://localhost:8080", firstSteps},
	{"docs/first-party-example.html", "http://127.0.0.1:8080", nil},
	{"docs/operations.md", "https://id.example.com", append(slices.Clip(firstSteps),
		`ingam client create --id web --name "Shop" --auth client_secret_basic --grant authorization_code --scope "openid read write" --audience https://api.example.com --redirect-uri https://shop.example.com/callback`)},
	{"docs/performance.md", "http://localhost:8080", firstSteps},
	{"docs/proxies.md", "http://localhost:8080", firstSteps},
	{"docs/resource-servers.md", "http://localhost:8080", firstSteps},
}

// elsewhere names, for commands that cannot run here, the test that runs them or
// similar ones.
var elsewhere = map[string]string{
	"ingam serve":                                           "TestAServerThatIsStoppedFinishesWhatItIsDoing",
	"ingam serve --demo":                                    "TestTheDemonstrationWorksByCopyingWhatItPrints",
	"ingam serve --accept-issuer":                           "TestAnotherIssuerOnTheSameDatabaseIsRefused",
	"ingam audit head":                                      "TestTheAuditLogIsVerifiedByAStranger",
	"ingam audit verify --head $(cat kept.head)":            "TestTheAuditLogIsVerifiedByAStranger",
	"ingam audit export":                                    "TestTheAuditLogIsVerifiedByAStranger",
	"ingam audit export --after 25001":                      "TestTheAuditLogIsVerifiedByAStranger",
	"ingam login":                                           "TestAnAdministratorWorksFromElsewhere",
	"ingam login --server https://id.example.com":           "TestAnAdministratorWorksFromElsewhere",
	"ingam client list --server https://id.example.com":     "TestAnAdministratorWorksFromElsewhere",
	"ingam logout --server https://id.example.com":          "TestAnAdministratorWorksFromElsewhere",
	"ingam apply -f ingam.d --plan":                         "TestAnAdministratorWorksFromElsewhere",
	"ingam apply -f ingam.d":                                "TestAnAdministratorWorksFromElsewhere",
	"ingam token verify --audience https://api.example.com": "TestTokensAreVerifiedFromTheCommandLineAsAResourceServerDoes",
	"ingam user invite U":                                   "TestAPersonGetsInWithoutAnAdministratorWhoKnowsThePassword",
	`ingam revoke --token-stdin`:                            "TestTokensAreVerifiedFromTheCommandLineAsAResourceServerDoes",
	`ingam revoke --token-stdin --reason to see`:            "TestTokensAreVerifiedFromTheCommandLineAsAResourceServerDoes",
	`ingam revoke --token-stdin --reason to see --wait`:     "TestRevokeWaitsForVerifiersAndNamesThoseThatAreLate",

	"ingam backup --out FILE":                                                 "TestABackupOfARunningServerIsWhatTheDocumentationSays",
	"ingam backup --out /var/backups/ingam/2026-01-31.db":                     "TestABackupOfARunningServerIsWhatTheDocumentationSays",
	"ingam restore /var/backups/ingam/2026-01-31.db --reason the disk failed": "TestABackupOfARunningServerIsWhatTheDocumentationSays",
	"ingam restore --in-place":                                                "TestOtherEnginesAreBackedUpWithTheirOwnTools",
	"ingam restore --in-place --reason the disk failed":                       "TestOtherEnginesAreBackedUpWithTheirOwnTools",
	"ingam restore --in-place --reason failover":                              "TestOtherEnginesAreBackedUpWithTheirOwnTools",
	"ingam bench": "TestBenchMeasuresOnEveryEngineAndOnNewDatabasesOnly",
	"ingam bench --connections N --only token,refresh,introspection,jwks":            "TestBenchMeasuresOnEveryEngineAndOnNewDatabasesOnly",
	"ingam bench --grants N --only code,refresh":                                     "TestBenchMeasuresOnEveryEngineAndOnNewDatabasesOnly",
	"ingam bench --clients N --only token,introspection":                             "TestBenchMeasuresOnEveryEngineAndOnNewDatabasesOnly",
	"ingam bench --url https://id.example.com --client job --secret-file job.secret": "TestBenchMeasuresARunningServerByWhatItsClientMayDo",

	"ingam restore --cut-all": "TestABackupOfARunningServerIsWhatTheDocumentationSays",
}

// mentioned are commands that the text only names. They would fail as they are printed,
// because arguments are missing.
var mentioned = []string{
	"ingam admin bootstrap", "ingam user invite", "ingam user reset-link", "ingam apply", "ingam user create --email-verified", "ingam user create --role admin", "ingam user disable", "ingam user set-password",
	"ingam client disable", "ingam client secret add", "ingam key withdraw", "ingam revoke", "ingam revoke --wait", "ingam revoke --session",
	"ingam restore", "ingam revoke … --dry-run", "ingam revoke … --wait", "ingam revoke --token-stdin", "ingam token verify",
	"ingam revoke --grant", "ingam api secret add", "ingam api secret use", "ingam api secret remove",
	"ingam api secret use AUDIENCE SECRET-ID", "ingam api secret remove AUDIENCE SECRET-ID",
}

// completed maps printed commands to complete ones, with the arguments that the text
// beside them asks for.
var completed = map[string]string{
	"ingam user create --username U --email E":      "ingam user create --username new --email new@example.com --generate",
	"ingam user invite --username U --email E":      "ingam user invite --username new --email new@example.com",
	"ingam user set-password U":                     "ingam user set-password minji --generate --must-change",
	"ingam client secret remove ID":                 "ingam client secret remove two",
	"ingam client update ID":                        "ingam client update web --name Web",
	"ingam api update AUDIENCE":                     "ingam api update https://api.test --name Orders",
	"ingam api update AUDIENCE --signing-alg EdDSA": "ingam api update https://api.test --signing-alg EdDSA",
	"ingam api update AUDIENCE --signing-alg HS256": "ingam api update https://api.test --signing-alg HS256",
	"ingam api show AUDIENCE":                       "ingam api show https://api.test",
	"ingam api secret add AUDIENCE":                 "ingam api secret add https://api.test",
	"ingam user update USER":                        "ingam user update minji --role admin",
	"ingam client update ID --add-redirect-uri …":   "ingam client update web --add-redirect-uri https://app.example.com/other",
	"ingam revoke --grant ID":                       "ingam revoke --grant GID",
	"ingam revoke --session ID":                     "ingam revoke --session SID",
	"ingam key rotate --now":                        "ingam key rotate --now --force", // the keys are minutes old
	"ingam key withdraw KID":                        "ingam key withdraw KID --force",
	"ingam master-key new --out NEW --from OLD":     "ingam master-key new --out NEW --from OLD",
	"ingam api create --audience https://api.example.com --name Orders --scope read --token-typ JWT": "ingam api create --audience https://jwt.example.com --name Orders --scope read --token-typ JWT",
}

// typed is a command line split into words as a shell does.
type typed struct {
	words []string
	stdin string // the name of a file; with echo, the text that echo prints
	echo  bool
}

var word = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)

// parse parses a line of shell: quotes, comments, and standard input from echo or a
// file. It returns nil if the line does not run ingam.
func parse(line string) *typed {
	line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
	var all []string
	for rest := line; rest != ""; rest = strings.TrimLeft(rest, " \t") {
		var w string
		for rest != "" && rest[0] != ' ' && rest[0] != '\t' {
			part := word.FindString(rest)
			if part == "" {
				return nil
			}
			rest = rest[len(part):]
			if strings.ContainsAny(part[:1], `'"`) {
				part = part[1 : len(part)-1]
			}
			w += part
		}
		if w == "#" {
			break
		}
		all = append(all, w)
	}
	c := &typed{}
	if i := slices.Index(all, "|"); i > 0 {
		c.stdin, c.echo = all[i-1]+"\n", true
		all = all[i+1:]
	}
	if i := slices.IndexFunc(all, func(w string) bool { return w == "&" || strings.HasPrefix(w, "2>") || strings.HasPrefix(w, ">") }); i >= 0 {
		all = all[:i]
	}
	if i := slices.Index(all, "<"); i >= 0 && i+1 < len(all) {
		c.stdin = all[i+1]
		all = slices.Delete(all, i, i+2)
	}
	if len(all) > 3 && all[0] == "go" && all[1] == "run" {
		all = all[2:]
	}
	if len(all) < 2 || !slices.Contains([]string{"ingam", "bin/ingam", "./cmd/ingam"}, all[0]) || strings.Trim(all[1], "abcdefghijklmnopqrstuvwxyz-") != "" {
		return nil
	}
	c.words = append([]string{"ingam"}, all[1:]...)
	return c
}

// commandsOf returns the commands in the blocks of a document, and those in its text.
func commandsOf(t *testing.T, path string) (inBlocks, inText []*typed) {
	text := strings.ReplaceAll(read(t, path), "\\\n", " ")
	add := func(to *[]*typed, line string) {
		if c := parse(line); c != nil {
			*to = append(*to, c)
		}
	}
	if strings.HasSuffix(path, ".html") { // only the comment at its top
		head, _, _ := strings.Cut(text, "-->")
		for line := range strings.SplitSeq(head, "\n") {
			add(&inBlocks, line)
		}
		return inBlocks, nil
	}
	for i, part := range strings.Split(text, "```") {
		if i%2 == 1 {
			for line := range strings.SplitSeq(part, "\n") {
				add(&inBlocks, line)
			}
			continue
		}
		for _, m := range regexp.MustCompile("`((?:bin/)?ingam [a-z][^`]*)`").FindAllStringSubmatch(part, -1) {
			add(&inText, strings.Join(strings.Fields(m[1]), " "))
		}
	}
	return inBlocks, inText
}

// TestWhatTheDocumentationTellsToTypeWorks runs every command of ingam in the
// documentation. The commands in a document's blocks run one after the other, as a reader
// runs them. Each command in its text runs by itself, on a database that has data of
// every kind.
func TestWhatTheDocumentationTellsToTypeWorks(t *testing.T) {
	t.Parallel()
	// This deployment has data of every kind.
	whole := emptyDeployment(t, "").oneAtATime()
	s := whole.start()
	secret, web := whole.client("job"), whole.webClient("web", "--auth", "client_secret_basic")
	whole.client("two")
	whole.must("client", "secret", "add", "two")
	whole.user("minji")
	theirs := part(t, web.tokens(s, s.person(), "minji", "scope", "openid read").Access, 1)
	own := part(t, s.token("job", secret), 1)
	at := own["status"].(map[string]any)["status_list"].(map[string]any)
	s.stop()
	var sessions []sessionJSON
	whole.mustJSON(&sessions, "session", "list")
	contents, err := os.ReadFile(strings.TrimPrefix(whole.database, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"U": "minji", "USER": "minji", "SUB": fmt.Sprint(theirs["sub"]), "ID": "web", "C": "web",
		"GID": fmt.Sprint(theirs["gid"]), "SID": sessions[0].ID, "KID": signingKey(t, whole),
		"JTI": fmt.Sprint(own["jti"]), "URI": fmt.Sprint(at["uri"]), "IDX": fmt.Sprint(at["idx"]), "EXP": fmt.Sprintf("%.0f", own["exp"]),
	}

	all, seen := 0, map[string]bool{}
	// runIn runs a command in a folder, after replacing what stands for a file or
	// another value in it.
	runIn := func(dir string, environ []string, c *typed, values map[string]string) ended {
		t.Helper()
		all++
		words := slices.Clone(c.words[1:])
		file := func(name string) string {
			if strings.Contains(name, ".") && !strings.ContainsAny(name, "/:@= {") || slices.Contains([]string{"FILE", "NEW"}, name) {
				return filepath.Join(dir, name)
			}
			return name
		}
		for i, w := range words {
			if v, ok := values[w]; ok {
				words[i] = v
			} else if i > 0 && slices.Contains([]string{"--out", "--from", "--secret-file"}, words[i-1]) {
				words[i] = file(w)
			}
		}
		stdin := c.stdin
		if stdin != "" && !c.echo {
			b, err := os.ReadFile(file(stdin))
			if err != nil {
				t.Fatal(err)
			}
			stdin = string(b)
		}
		return program(t, whole.binary, dir, environ, stdin, words...)
	}
	folder := func(issuer string) (dir string, environ []string) {
		t.Helper()
		dir = t.TempDir()
		for name, text := range map[string]string{
			"job.secret": strings.Repeat("a1", 32), "orders.secret": strings.Repeat("b2", 32), "shop.secret": strings.Repeat("c3", 32), "password.txt": goodPassword,
			"orders.jwk": `{"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}`,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir, []string{"INGAM_ISSUER=" + issuer, "INGAM_DATABASE=sqlite:" + filepath.Join(dir, "ingam.db"), "INGAM_MASTER_KEY_FILE=" + whole.masterKey, "INGAM_CHANGES_STALENESS=100ms"}
	}
	// skip reports whether a command is not run here.
	skip := func(line string) bool {
		seen[line] = true
		return elsewhere[line] != "" || slices.Contains(mentioned, line)
	}
	for _, of := range documents {
		inBlocks, inText := commandsOf(t, of.path)
		dir, environ := folder(of.issuer)
		var before []*typed
		for _, line := range append([]string{"ingam migrate up"}, of.before...) {
			before = append(before, parse(line))
		}
		for i, c := range append(before, inBlocks...) {
			line := strings.Join(c.words, " ")
			if i >= len(before) && skip(line) {
				continue
			}
			if instead := completed[line]; instead != "" {
				c.words = strings.Fields(instead)
			}
			if e := runIn(dir, environ, c, nil); e.status != done {
				t.Errorf("%s: %s\nends with status %d: %s", of.path, line, e.status, e.stderr)
			}
		}
		for _, c := range inText {
			line := strings.Join(c.words, " ")
			if seen[line] && completed[line] == "" && elsewhere[line] == "" && !slices.Contains(mentioned, line) || skip(line) {
				continue
			}
			if instead := completed[line]; instead != "" {
				c.words = strings.Fields(instead)
			}
			dir, environ := folder(whole.issuer)
			if err := os.WriteFile(filepath.Join(dir, "ingam.db"), contents, 0o600); err != nil {
				t.Fatal(err)
			}
			key := filepath.Join(dir, "OLD")
			if b, err := os.ReadFile(whole.masterKey); err != nil || os.WriteFile(key, b, 0o600) != nil {
				t.Fatal(err)
			}
			there := maps.Clone(values)
			there["OLD"] = key
			if e := runIn(dir, append(environ, "INGAM_MASTER_KEY_FILE="+key), c, there); e.status != done {
				t.Errorf("%s: %s\nends with status %d: %s", of.path, line, e.status, e.stderr)
			}
		}
	}
	if all < 80 {
		t.Errorf("only %d commands were run", all)
	}

	// The tables above must be complete, and must not name a command or a test that does
	// not exist (any more).
	for _, line := range slices.Concat(slices.Collect(maps.Keys(elsewhere)), mentioned, slices.Collect(maps.Keys(completed))) {
		if !seen[line] {
			t.Errorf("%q stands in no document", line)
		}
	}
	paths, err := filepath.Glob(filepath.Join(root, "docs/*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		path = strings.TrimPrefix(path, root+"/")
		if !strings.HasSuffix(path, ".png") && !slices.ContainsFunc(documents, func(d document) bool { return d.path == path }) {
			t.Errorf("nobody runs the commands of %s", path)
		}
	}
	tests, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	source := ""
	for _, path := range tests {
		source += read(t, "cmd/ingam/processes/"+path)
	}
	for line, test := range elsewhere {
		if !strings.Contains(source, "\nfunc "+test+"(") {
			t.Errorf("%s runs %q, and is not there", test, line)
		}
	}
}

// TestCommandsThatHelpTellsOfExist: the help of a command names other commands, such as
// the one that lists the ids. They must exist.
func TestCommandsThatHelpTellsOfExist(t *testing.T) {
	t.Parallel()
	bare := &deployment{t: t}
	told := 0
	var look func(words ...string)
	look = func(words ...string) {
		help := bare.bare(nil, append(slices.Clone(words), "--help")...).stdout
		usage, rest, _ := strings.Cut(help, "Usage:")
		_, rest, _ = strings.Cut(rest, "\n\n")
		for _, m := range regexp.MustCompile(`\bingam ([a-z-]+(?: [a-z-]+)*)`).FindAllStringSubmatch(usage+rest, -1) {
			if m[1] == strings.Join(words, " ") || strings.Contains(rest, "ingam "+m[1]+" [command] --help") {
				continue
			}
			told++
			if e := bare.bare(nil, append(strings.Fields(m[1]), "--help")...); e.status != done || strings.Contains(e.stdout, "[command]") {
				t.Errorf("help on %q tells of %q, which is no command", words, m[0])
			}
		}
		_, list, _ := strings.Cut(help, "Available Commands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		for line := range strings.Lines(list) {
			if name := strings.Fields(line)[0]; name != "help" && name != "completion" {
				look(append(slices.Clone(words), name)...)
			}
		}
	}
	look()
	if told < 2 {
		t.Errorf("help tells of %d commands", told)
	}
}
