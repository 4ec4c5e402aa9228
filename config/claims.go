package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// ClaimScope is a scope that the configuration adds to the server's own scopes, with
// the claims about a user that it releases and the text that people are shown for it.
type ClaimScope struct {
	Scope  string   `json:"scope"`
	Claims []string `json:"claims"`
	// Text says what the scope allows, as the end of "the application would like to";
	// TextKo does so in Korean. Without a text, people are shown the claims.
	Text   string `json:"text,omitempty"`
	TextKo string `json:"text_ko,omitempty"`

	// At is the place where it was configured, for error messages.
	At string `json:"-"`
}

// claimScopes is a list of them, as the file has it.
type claimScopes []ClaimScope

// nested is a setting whose value does not fit on a line. It is read from its YAML in
// the file, and has no flag.
type nested interface {
	read(n *yaml.Node, at func(*yaml.Node) source, wrong func(n *yaml.Node, format string, args ...any))
}

func (c *claimScopes) read(n *yaml.Node, at func(*yaml.Node) source, wrong func(n *yaml.Node, format string, args ...any)) {
	*c = nil
	if n.Kind != yaml.SequenceNode {
		wrong(n, "a list is expected here, [] if it is empty")
		return
	}
	for _, item := range n.Content {
		item = resolved(item)
		if item.Kind != yaml.MappingNode {
			wrong(item, "scope, claims and text are expected here, as key: value")
			continue
		}
		s := ClaimScope{At: string(at(item))}
		seen := map[string]bool{}
		for i := 0; i+1 < len(item.Content); i += 2 {
			name, value := item.Content[i], resolved(item.Content[i+1])
			if seen[name.Value] {
				wrong(name, "%s is given twice", quoted(name.Value))
			}
			seen[name.Value] = true
			into, single := map[string]*string{"scope": &s.Scope, "text": &s.Text, "text_ko": &s.TextKo}[name.Value]
			switch {
			case single && (value.Kind != yaml.ScalarNode || strings.TrimSpace(value.Value) == ""):
				wrong(value, "%s is a single value", name.Value)
			case single:
				*into = value.Value
			case name.Value == "claims":
				s.Claims = readNames(value, wrong)
			default:
				wrong(name, "there is no %s here; there are scope, claims, text and text_ko", quoted(name.Value))
			}
		}
		for _, name := range []string{"scope", "claims"} {
			if !seen[name] {
				wrong(item, "%s is missing", name)
			}
		}
		*c = append(*c, s)
	}
}

func readNames(n *yaml.Node, wrong func(n *yaml.Node, format string, args ...any)) (names []string) {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		wrong(n, "claims is a list of names")
		return nil
	}
	for _, item := range n.Content {
		item = resolved(item)
		if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" || item.Value == "" {
			wrong(item, "claims is a list of names")
			continue
		}
		names = append(names, item.Value)
	}
	return names
}

// MarshalText writes the list as JSON, which YAML can read too.
func (c claimScopes) MarshalText() ([]byte, error) {
	if len(c) == 0 {
		return []byte("[]"), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode([]ClaimScope(c))
	return bytes.TrimSpace(b.Bytes()), err
}

// UnmarshalText reads YAML, of which JSON is a subset.
func (c *claimScopes) UnmarshalText(b []byte) error {
	var document yaml.Node
	if err := yaml.Unmarshal(b, &document); err != nil || len(document.Content) != 1 {
		return errors.New(`it is not a list in YAML or JSON; write for example [{"scope": "department", "claims": ["department"], "text": "see your department"}]`)
	}
	var problems []error
	c.read(resolved(document.Content[0]), func(*yaml.Node) source { return "INGAM_CLAIMS" }, func(_ *yaml.Node, format string, args ...any) {
		problems = append(problems, fmt.Errorf(format, args...))
	})
	return errors.Join(problems...)
}
