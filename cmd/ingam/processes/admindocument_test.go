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
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// adminPath is where the admin API is, below the issuer.
const adminPath = "/admin/v1"

// adminDocument is the OpenAPI document of an admin API, as another's library reads it.
type adminDocument struct{ *openapi3.T }

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
	read, err := openapi3.NewLoader().LoadFromData([]byte(text))
	if err != nil {
		return nil, err
	}
	for _, schema := range read.Components.Schemas {
		allowNull(schema)
	}
	return &adminDocument{read}, nil
}

// allowNull tells the library that null is a value of schemas that name no type, as OpenAPI
// 3.0.3 says.
func allowNull(of *openapi3.SchemaRef) {
	if of == nil || of.Ref != "" && of.Value.Type != nil {
		return
	}
	if of.Value.Type == nil {
		of.Value.Nullable = true
	}
	for _, member := range of.Value.Properties {
		allowNull(member)
	}
	allowNull(of.Value.Items)
	allowNull(of.Value.AdditionalProperties.Schema)
}

const ndjson = "application/x-ndjson"

func init() {
	// An answer of several JSON values is the text that it is: each line is looked at by itself.
	openapi3filter.RegisterBodyDecoder(ndjson, openapi3filter.PlainBodyDecoder)
	openapi3.DefineStringFormatValidator("date-time", openapi3.NewCallbackValidator(func(text string) error {
		_, err := time.Parse(time.RFC3339, text)
		return err
	}))
}

// operation returns the operation that a request is for, with its path in the document; nil
// if there is none. An escaped slash begins no other part of a path.
func (d *adminDocument) operation(r *http.Request) (path string, item *openapi3.PathItem, op *openapi3.Operation) {
	_, asked, _ := strings.Cut(r.URL.EscapedPath(), adminPath)
	parts := strings.Split(asked, "/")
	for path, item := range d.Paths.Map() {
		named := strings.Split(path, "/")
		if len(named) != len(parts) {
			continue
		}
		same := true
		for i, part := range parts {
			template := strings.HasPrefix(named[i], "{")
			same = same && (template && part != "" || named[i] == part)
		}
		if op := item.GetOperation(r.Method); same && op != nil {
			return path, item, op
		}
	}
	return "", nil, nil
}

// wrong says what of an answer is not as the document says.
func (d *adminDocument) wrong(resp *http.Response) error {
	path, item, op := d.operation(resp.Request)
	if op == nil {
		return errors.New("there is no such operation")
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	declared := op.Responses.Status(resp.StatusCode)
	if declared == nil {
		return errors.New("the status is not declared")
	}
	// The library looks at no body that is not declared.
	if typed := resp.Header.Get("Content-Type"); len(declared.Value.Content) == 0 && (len(body) > 0 || typed != "") {
		return fmt.Errorf("a body of the type %q is not declared", typed)
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: resp.Request, Route: &routers.Route{Spec: d.T, Path: path, PathItem: item, Method: resp.Request.Method, Operation: op},
		},
		Status: resp.StatusCode, Header: resp.Header, Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	if err := openapi3filter.ValidateResponse(resp.Request.Context(), in.SetBodyBytes(body)); err != nil {
		return err
	}
	if resp.Header.Get("Content-Type") == ndjson {
		return d.wrongLines(body)
	}
	return nil
}

// wrongLines says what of the lines of an answer is not as the document says.
func (d *adminDocument) wrongLines(body []byte) error {
	lines := json.NewDecoder(bytes.NewReader(body))
	for {
		var line any
		switch err := lines.Decode(&line); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if err := d.Components.Schemas["AuditLine"].Value.VisitJSON(line, openapi3.VisitAsResponse(), openapi3.MultiErrors()); err != nil {
			return fmt.Errorf("%v: %w", line, err)
		}
	}
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
	c.statuses[op.OperationID] = append(c.statuses[op.OperationID], resp.StatusCode)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// conforming returns a transport to the server's admin API.
func (s *server) conforming() *conforming {
	s.d.t.Helper()
	// The library knows the form 3.0 wholly, and of 3.1 what both have.
	return &conforming{adminDocument: s.adminDocument("/openapi-3.0.json"), statuses: map[string][]int{}}
}

func TestTheDocumentOfTheAdministrationIsValid(t *testing.T) {
	t.Parallel()
	s := newDeployment(t).oneAtATime().start()
	for _, name := range []string{"/openapi.json", "/openapi-3.0.json"} {
		d := s.adminDocument(name)
		if err := d.Validate(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// Otherwise members that the document does not declare would be as it says.
		for name, schema := range d.Components.Schemas {
			if of := schema.Value; of.Properties != nil && (of.AdditionalProperties.Has == nil || *of.AdditionalProperties.Has || of.AdditionalProperties.Schema != nil) {
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
