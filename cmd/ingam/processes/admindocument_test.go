package processes

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/content"
	invalid "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/pb33f/libopenapi/orderedmap"
)

// adminPath is where the admin API is, below the issuer.
const adminPath = "/admin/v1"

// adminDocument is the OpenAPI document of an admin API, as another's library reads it.
type adminDocument struct {
	validator.Validator
	paths   *orderedmap.Map[string, *v3.PathItem]
	schemas *orderedmap.Map[string, *base.SchemaProxy]
	// lines checks the lines of an export.
	lines schema_validation.SchemaValidator
}

// readDocuments are the documents that were read: servers serve the same one, but for their
// addresses, and it takes a while to read it.
var readDocuments sync.Map

// adminDocument returns the document that a server serves under a name.
func (s *server) adminDocument(name string) *adminDocument {
	s.d.t.Helper()
	a := s.get(adminPath + name)
	if a.status != http.StatusOK {
		s.d.t.Fatalf("%s: %d %s", name, a.status, a.body)
	}
	text := strings.ReplaceAll(a.body, s.d.issuer, "")
	read, _ := readDocuments.LoadOrStore(text, sync.OnceValues(func() (*adminDocument, error) { return readDocument(text) }))
	d, err := read.(func() (*adminDocument, error))()
	if err != nil {
		s.d.t.Fatalf("%s: %v", name, err)
	}
	return d
}

func readDocument(text string) (*adminDocument, error) {
	parsed, err := libopenapi.NewDocument([]byte(text))
	if err != nil {
		return nil, err
	}
	model, err := parsed.BuildV3Model()
	if err != nil {
		return nil, err
	}
	validates, errs := validator.NewValidator(parsed, config.WithFormatAssertions(), config.WithContentAssertions(),
		config.WithBodyDecoder(ndjson, content.DecoderFunc(decodeLines)))
	if len(errs) > 0 {
		return nil, errs[0]
	}
	return &adminDocument{
		validates, model.Model.Paths.PathItems, model.Model.Components.Schemas, schema_validation.NewSchemaValidator(config.WithFormatAssertions()),
	}, nil
}

const ndjson = "application/x-ndjson"

// decodeLines reads an answer of several JSON values as the text that it is.
func decodeLines(in *content.DecodeInput) (any, error) {
	text, err := io.ReadAll(in.Body)
	return string(text), err
}

// operation returns the operation that a request is for, with its path in the document; nil
// if there is none. An escaped slash begins no other part of a path.
func (d *adminDocument) operation(r *http.Request) (path string, item *v3.PathItem, op *v3.Operation) {
	_, asked, _ := strings.Cut(r.URL.EscapedPath(), adminPath)
	parts := strings.Split(asked, "/")
	for path, item := range d.paths.FromOldest() {
		named := strings.Split(path, "/")
		if len(named) != len(parts) {
			continue
		}
		same := true
		for i, part := range parts {
			template := strings.HasPrefix(named[i], "{")
			same = same && (template && part != "" || named[i] == part)
		}
		if op, is := item.GetOperations().Get(strings.ToLower(r.Method)); same && is {
			return path, item, op
		}
	}
	return "", nil, nil
}

// wrong says what of an answer is not as the document says.
func (d *adminDocument) wrong(resp *http.Response) error {
	path, item, op := d.operation(resp.Request)
	if op == nil {
		return fmt.Errorf("there is no such operation")
	}
	ok, flaws := d.GetResponseBodyValidator().ValidateResponseBodyWithPathItem(resp.Request, resp, item, path)
	if !ok {
		return errors.New(told(flaws))
	}
	if resp.Header.Get("Content-Type") == ndjson {
		return d.wrongLines(resp)
	}
	return nil
}

// wrongLines says what of the lines of an answer is not as the document says.
func (d *adminDocument) wrongLines(resp *http.Response) error {
	lines := json.NewDecoder(resp.Body)
	for {
		var line any
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if ok, flaws := d.lines.ValidateSchemaObject(d.schemas.GetOrZero("AuditLine").Schema(), line); !ok {
			return fmt.Errorf("%v: %s", line, told(flaws))
		}
	}
}

// told returns what a validator has found.
func told(flaws []*invalid.ValidationError) string {
	var b strings.Builder
	for _, f := range flaws {
		fmt.Fprintf(&b, "%s: %s", f.Message, f.Reason)
		for _, s := range f.SchemaValidationErrors {
			fmt.Fprintf(&b, "; %s %s", s.FieldPath, s.Reason)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// conforming sends requests to an admin API, and fails each whose answer is not as the
// document says: another status, another type, a member that is missing, undeclared or wrong.
type conforming struct {
	*adminDocument
	mu sync.Mutex
	// statuses are those that each operation has answered with.
	statuses map[string][]int
}

func (c *conforming) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	if err := c.wrong(resp); err != nil {
		return nil, fmt.Errorf("%s %s answers %d %.2000s, which is not as its document says: %w", r.Method, r.URL, resp.StatusCode, body, err)
	}
	_, _, op := c.operation(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.statuses[op.OperationId] = append(c.statuses[op.OperationId], resp.StatusCode)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// conforming returns a transport to the server's admin API.
func (s *server) conforming() *conforming {
	s.d.t.Helper()
	return &conforming{adminDocument: s.adminDocument("/openapi.json"), statuses: map[string][]int{}}
}

func TestTheDocumentOfTheAdministrationIsValid(t *testing.T) {
	t.Parallel()
	s := newDeployment(t).oneAtATime().start()
	for _, name := range []string{"/openapi.json", "/openapi-3.0.json"} {
		d := s.adminDocument(name)
		if ok, flaws := d.ValidateDocument(); !ok {
			t.Errorf("%s: %s", name, told(flaws))
		}
		// Otherwise members that the document does not declare would be as it says.
		for name, schema := range d.schemas.FromOldest() {
			if of := schema.Schema(); of.Properties != nil && (of.AdditionalProperties == nil || of.AdditionalProperties.A != nil || of.AdditionalProperties.B) {
				t.Errorf("%s may have any members", name)
			}
		}
	}
}

// generates is whether the client is written, and not compared.
var generates = flag.Bool("generate", false, "write the client of the admin API")

// TestTheClientIsWhatGenerationGives: the client that is in this repository is made from
// the document that a server serves today.
func TestTheClientIsWhatGenerationGives(t *testing.T) {
	t.Parallel()
	s := newDeployment(t).oneAtATime().start()
	document, made := filepath.Join(t.TempDir(), "openapi.json"), filepath.Join(t.TempDir(), "client.go")
	if err := os.WriteFile(document, []byte(s.get(adminPath+"/openapi-3.0.json").body), 0o600); err != nil {
		t.Fatal(err)
	}
	const kept = "adminclient/client.go"
	if *generates {
		made = kept
	}
	out, err := exec.CommandContext(t.Context(), "go", "tool", "-modfile=../../../tools.mod", "oapi-codegen", "-config", "adminclient/generate.yaml", "-o", made, document).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("%v %s", err, out)
	}
	want, err := os.ReadFile(made)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: it is another one: go generate ./adminclient", err)
	}
}
