package processes

import (
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v4"

	"github.com/ingam/ingam/config"
)

// root is the folder of the project.
const root = "../../.."

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// composition is the part of the Compose specification that the file may use.
type composition struct {
	Services map[string]struct {
		Image, Build string
		Profiles     []string
		Command      []string
		Environment  map[string]string
		Volumes      []string
		Ports        []string
		Restart      string
		Healthcheck  struct {
			Test     []string
			Interval string
			Retries  int
		}
		DependsOn map[string]struct {
			Condition string
			Required  *bool
		} `yaml:"depends_on"`
	}
	Volumes map[string]any
}

// TestTheCompositionIsOneThatIngamCanRun checks the content of docker-compose.yml. This
// needs no container engine.
func TestTheCompositionIsOneThatIngamCanRun(t *testing.T) {
	t.Parallel()
	var c composition
	file := read(t, "docker-compose.yml")
	decoder := yaml.NewDecoder(strings.NewReader(file))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "mariadb", "ingam", "master-key"} {
		if _, ok := c.Services[name]; !ok {
			t.Errorf("there is no service %s", name)
		}
	}
	d := emptyDeployment(t, "").oneAtATime()
	image := dockerEnvironment(t)
	if e := d.bare(image, "config", "check"); e.status != done {
		t.Errorf("what the image sets: %s", e.stderr)
	}
	if cmd := regexp.MustCompile(`(?m)^CMD \["(\w+)"\]$`).FindStringSubmatch(read(t, "Dockerfile")); cmd == nil {
		t.Error("the image runs nothing")
	} else if e := d.bare(image, "help", cmd[1]); e.status != done {
		t.Errorf("the image runs %s: %s", cmd[1], e.stderr)
	}
	byDefault := regexp.MustCompile(`\$\{(\w+):-([^}]*)\}`)
	for name, service := range c.Services {
		for other := range service.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s depends on %s, which is not there", name, other)
			}
		}
		for _, volume := range service.Volumes {
			if source, _, _ := strings.Cut(volume, ":"); !strings.ContainsAny(source, "./") {
				if _, ok := c.Volumes[source]; !ok {
					t.Errorf("%s uses the volume %s, which is not there", name, source)
				}
			}
		}
		for _, port := range service.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s opens %s to the world", name, port)
			}
		}
		if service.Build == "" {
			continue
		}
		set := slices.Clone(image)
		for key, value := range service.Environment {
			set = append(set, key+"="+byDefault.ReplaceAllString(value, "$2"))
		}
		bare := &deployment{t: t, dir: d.dir, binary: d.binary}
		if name == "ingam" {
			e := bare.bare(set, "config", "check")
			if e.status != done {
				t.Errorf("its settings: %s", e.stderr)
			}
			for _, want := range []string{"issuer: http://localhost:8080", "master_key_file: /var/lib/ingam/master.key"} {
				if !strings.Contains(e.stdout, want) {
					t.Errorf("%q is not in effect:\n%s", want, e.stdout)
				}
			}
			// The other engine is used as the comment at the top of the file says.
			other := regexp.MustCompile(`(?m)^# +(INGAM_DATABASE)='(mysql:[^']+)' docker compose --profile (\w+) up$`).FindStringSubmatch(file)
			if other == nil {
				t.Fatal("it does not say how to run with MariaDB")
			}
			database, err := url.Parse(other[2])
			if err != nil {
				t.Fatal(err)
			}
			maria := c.Services[database.Hostname()]
			password, _ := database.User.Password()
			if !slices.Contains(maria.Profiles, other[3]) || maria.Environment["MARIADB_USER"] != database.User.Username() ||
				maria.Environment["MARIADB_PASSWORD"] != password || "/"+maria.Environment["MARIADB_DATABASE"] != database.Path {
				t.Errorf("%s does not lead to the service of that profile: %+v", database.Redacted(), maria)
			}
			if e := bare.bare(append(set, other[1]+"="+other[2]), "config", "check"); e.status != done || strings.Contains(e.stdout, ":ingam@") {
				t.Errorf("with MariaDB: %+v", e)
			}
		}
		if e := bare.bare(set, append(slices.Clone(service.Command), "--help")...); e.status != done {
			t.Errorf("%s runs %q: %s", name, service.Command, e.stderr)
		} else if strings.Contains(e.stdout, "[command]") {
			t.Errorf("%s runs %q, which is not a command but a group of them", name, service.Command)
		}
	}
}

// TestTheCommandLineIsReachedInTheComposition: the commands in the README and in the file
// name the right service and the path of the command in its image. They succeed with the
// settings that the server has there.
func TestTheCommandLineIsReachedInTheComposition(t *testing.T) {
	t.Parallel()
	file, docker := read(t, "docker-compose.yml"), read(t, "Dockerfile")
	var c composition
	if err := yaml.Unmarshal([]byte(file), &c); err != nil {
		t.Fatal(err)
	}
	one := func(pattern string) string {
		t.Helper()
		m := regexp.MustCompile(`(?m)` + pattern).FindStringSubmatch(docker)
		if m == nil {
			t.Fatalf("the image has no %s", pattern)
		}
		return m[1]
	}
	entry := one(`^ENTRYPOINT \["([^"]+)"\]$`)
	if to := one(`^COPY --from=build /made/ingam (\S+)$`); to != entry {
		t.Errorf("the image runs %s, and the command is at %s", entry, to)
	}
	// docker compose exec runs as the user of the image. That user must be able to read
	// the server's master key.
	if user, owner := one(`^USER (\S+)$`), one(`--chown=(\S+) /made/data /var/lib/ingam$`); user != owner {
		t.Errorf("%s runs it, and %s has the key", user, owner)
	}
	told := regexp.MustCompile(`(?m)^(?:#  +)?docker compose exec (?:-T )?(\S+) (\S+) (.+)$`).FindAllStringSubmatch(read(t, "README.md")+"\n"+file, -1)
	if len(told) != 3 {
		t.Fatalf("it is told %d times: %q", len(told), told)
	}
	d := emptyDeployment(t, "").oneAtATime()
	for _, m := range told {
		service := c.Services[m[1]]
		if m[2] != entry || len(service.Command) == 0 || service.Command[0] != "serve" {
			t.Errorf("%q does not lead to the command beside the server", m[0])
			continue
		}
		set := dockerEnvironment(t)
		for key, value := range service.Environment {
			set = append(set, key+"="+value)
		}
		// The database of the composition is not here, so the command uses this one.
		set = append(set, "INGAM_DATABASE="+d.database)
		if e := d.bare(set, "migrate", "up"); e.status != done {
			t.Fatal(e.stderr)
		}
		words := strings.Fields(m[3])
		if words[0] == "user" && words[1] == "create" {
			words = append(words, "--generate") // there is no terminal here
		}
		if e := d.bare(set, words...); e.status != done {
			t.Errorf("%q: %s", m[0], e.stderr)
		}
	}
}

// bare runs a command whose environment has only the given variables.
func (d *deployment) bare(environ []string, args ...string) ended {
	d.t.Helper()
	return run(d.t, environ, "", args...)
}

// dockerEnvironment is the environment that the image sets.
func dockerEnvironment(t *testing.T) []string {
	t.Helper()
	var set []string
	for _, m := range regexp.MustCompile(`(?m)^ENV (\w+=\S+)$`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		set = append(set, m[1])
	}
	if len(set) == 0 {
		t.Fatal("the image sets nothing")
	}
	return set
}

func TestWhatTheDocumentationTellsToTypeExists(t *testing.T) {
	t.Parallel()
	makefile, readme := read(t, "Makefile"), read(t, "README.md")
	for typed, done := range map[string]string{
		"go run ./cmd/ingam serve --demo": "go run ./cmd/ingam serve --demo",
		"make test":                       ".ci/each $(EACHFLAGS) go test $(TESTFLAGS) ./...",
	} {
		if !strings.Contains(readme, "\n"+typed+"\n") || !strings.Contains(makefile, "\t"+done+"\n") {
			t.Errorf("the README does not say %q, or the Makefile does not do it by %q", typed, done)
		}
	}
	documents, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil || len(documents) == 0 {
		t.Fatal(documents, err)
	}
	everything := readme + read(t, "ARCHITECTURE.md")
	code := regexp.MustCompile("(?s)```.*?```")
	leads := func(dir, text string) {
		text = code.ReplaceAllString(text, "") // in code, brackets are not links
		for _, m := range regexp.MustCompile(`\]\(([^):#]+)(?:#[^)]*)?\)`).FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, dir, m[1])); err != nil {
				t.Errorf("a link in %s leads to %s, which is not there", dir, m[1])
			}
		}
	}
	leads(".", everything)
	for _, path := range documents {
		text := read(t, strings.TrimPrefix(path, root+"/"))
		leads("docs", text)
		everything += text
	}
	targets := regexp.MustCompile("`make ([a-z]+)`").FindAllStringSubmatch(everything, -1)
	for i, block := range strings.Split(everything, "```") {
		if i%2 == 1 {
			targets = append(targets, regexp.MustCompile("(?m)^make ([a-z]+)").FindAllStringSubmatch(block, -1)...)
		}
	}
	if len(targets) < 3 {
		t.Errorf("found only %q", targets)
	}
	for _, m := range targets {
		if !strings.Contains(makefile, "\n"+m[1]+":") {
			t.Errorf("there is no make %s", m[1])
		}
	}
	bare := &deployment{t: t}
	spans := regexp.MustCompile("(?:(?m:^)|`)(?:bin/|go run ./cmd/)?ingam ([a-z][^`#\n]*)").FindAllStringSubmatch(strings.ReplaceAll(everything, "\\\n", " "), -1)
	if len(spans) < 20 {
		t.Errorf("found only %q", spans)
	}
	for _, m := range spans {
		words := strings.Fields(m[1])
		for i, word := range words {
			if !regexp.MustCompile(`^[a-z-]+$`).MatchString(word) || strings.HasPrefix(word, "-") {
				words = words[:i]
				break
			}
		}
		// For an unknown command, the help of its group is printed.
		help := bare.bare(nil, append(words, "--help")...)
		if help.status != done || strings.Contains(help.stdout, "[command]") {
			t.Errorf("there is no command as in %q", m[0])
		}
		for _, flag := range regexp.MustCompile(` (--[a-z-]+)`).FindAllStringSubmatch(m[1], -1) {
			if !regexp.MustCompile(flag[1] + `\b`).MatchString(help.stdout) {
				t.Errorf("there is no %s as in %q", flag[1], m[0])
			}
		}
	}
	flags, settings := pflag.NewFlagSet("settings", pflag.ContinueOnError), read(t, "docs/configuration.md")
	config.Flags(flags)
	for _, m := range regexp.MustCompile(`INGAM_[A-Z_]+[A-Z]`).FindAllString(everything, -1) {
		flag := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(m, "INGAM_"), "_", "-"))
		// Not all settings have a flag. Package config tests that the table has all of
		// them.
		if m != "INGAM_TEST_POSTGRES" && m != "INGAM_TEST_MYSQL" && flags.Lookup(flag) == nil && !strings.Contains(settings, "| `"+m+"` |") {
			t.Errorf("%s is documented and no setting", m)
		}
	}
}
