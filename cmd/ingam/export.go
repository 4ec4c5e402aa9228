package main

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"
)

func exportCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "export", Short: "Print APIs, clients and administrators' roles as a file for ingam apply", Args: exactly(0),
		Long: "Print the APIs, clients and administrators' roles that there are as a YAML file for ingam apply,\nwithout secrets, and without what ingam admin bootstrap makes. Applied, it changes nothing.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				var document json.RawMessage
				if _, err := api.do(cmd.Context(), request{method: http.MethodGet, path: "/export"}, &document); err != nil {
					return err
				}
				// Every JSON text is YAML (YAML 1.2 section 1.2); in this form people read it.
				var node yaml.Node
				if err := yaml.Unmarshal(document, &node); err != nil {
					return err
				}
				plain(&node)
				var b bytes.Buffer
				e := yaml.NewEncoder(&b)
				e.SetIndent(2)
				if err := e.Encode(&node); err != nil {
					return err
				}
				_, err := t.stdout.Write(b.Bytes())
				return err
			})
		},
	}
}

// plain takes the style of JSON from a document.
func plain(n *yaml.Node) {
	n.Style = 0
	if len(n.Content) == 0 && (n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode) {
		n.Style = yaml.FlowStyle // [] and {}
	}
	for _, child := range n.Content {
		plain(child)
	}
}
