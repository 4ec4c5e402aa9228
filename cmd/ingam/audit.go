package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/audit"
)

func auditCommand(t *terminal) *cobra.Command {
	return group("audit", "Who changed what, when and why", auditList(t))
}

type eventJSON struct {
	ID      int64             `json:"id"`
	At      *string           `json:"at"`
	Actor   string            `json:"actor"`
	Action  string            `json:"action"`
	Subject string            `json:"subject,omitempty"`
	Reason  string            `json:"reason,omitempty"`
	Details map[string]string `json:"details,omitempty"`
}

func auditList(t *terminal) *cobra.Command {
	var (
		q      audit.Query
		action string
		since  time.Duration
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the newest events, oldest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.Limit < 1 {
				return usage(cmd, "--limit is at least 1")
			}
			q.Action = audit.Action(action)
			if since > 0 {
				q.Since = t.now().Add(-since)
			}
			return t.withConcerns(cmd, func(c *concerns) error {
				events, err := c.store.AuditEvents(cmd.Context(), q)
				if err != nil {
					return err
				}
				if asJSON {
					out := make([]eventJSON, len(events))
					for i, e := range events {
						out[i] = eventJSON{e.ID, instant(e.At), string(e.Actor), string(e.Action), e.Subject, e.Reason, e.Details}
					}
					return t.printJSON(out)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "AT\tACTOR\tACTION\tSUBJECT\tREASON\tDETAILS")
				for _, e := range events {
					var details []string
					for _, k := range slices.Sorted(maps.Keys(e.Details)) {
						if e.Details[k] != "" {
							details = append(details, k+"="+e.Details[k])
						}
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", text(e.At), visible(e.Actor), e.Action, visible(e.Subject), visible(e.Reason), visible(strings.Join(details, ", ")))
				}
				return w.Flush()
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&action, "action", "", "only this action, such as client.disable")
	f.StringVar(&q.Subject, "subject", "", "only this subject: a client id, an audience, a kid, a jti")
	f.DurationVar(&since, "since", 0, "only what happened within this time, such as 24h")
	f.IntVar(&q.Limit, "limit", 1000, "how many events at most")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// visible keeps what others wrote from moving the cursor or forging a line.
func visible[S ~string](s S) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, string(s))
}
