package processes

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestMakeStampsTheBinary(t *testing.T) {
	t.Parallel()
	// make -n only prints what it would run. Only the -X flags of that are used,
	// because with the other flags everything would be compiled again.
	printed := exec.Command("make", "--no-print-directory", "-n", "build", "VERSION=v9.8.7", "COMMIT=c0ffee", "DATE=2026-01-02T03:04:05Z")
	printed.Dir = root
	recipe, err := printed.CombinedOutput()
	if err != nil {
		t.Fatalf("make -n: %v\n%s", err, recipe)
	}
	stamps := strings.Join(regexp.MustCompile(`-X main\.\w+=[^ ']+`).FindAllString(string(recipe), -1), " ")
	binary := filepath.Join(t.TempDir(), "ingam")
	if out, err := exec.Command("go", "build", "-C", root, "-ldflags", stamps, "-o", binary, "./cmd/ingam").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	out, err := exec.Command(binary, "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "ingam v9.8.7 commit c0ffee date 2026-01-02T03:04:05Z go") {
		t.Errorf("%v: %s", err, out)
	}

	d := emptyDeployment(t, "")
	d.binary = binary
	first, _, _ := strings.Cut(d.refuses("--listen", "127.0.0.1:1", "--database", "sqlite:"+d.dir), "\n")
	wantSaid(t, first, `"level":"INFO"`, `"version":"v9.8.7"`, `"commit":"c0ffee"`, `"date":"2026-01-02T03:04:05Z"`)
}
