package main

import (
	"maps"
	"slices"
	"strings"
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
		shown  bound
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the newest events, oldest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := shown.check(cmd); err != nil {
				return err
			}
			if q.Action = audit.Action(action); !shown.all {
				q.Limit = shown.limit
			}
			if since > 0 {
				q.Since = t.now().Add(-since)
			}
			return t.withConcerns(cmd, func(c *concerns) error {
				events, older, err := c.store.AuditEvents(cmd.Context(), q)
				if err != nil {
					return err
				}
				list := t.printList(asJSON, "AT", "ACTOR", "ACTION", "SUBJECT", "REASON", "DETAILS")
				for e, err := range events {
					if err == nil {
						err = list.add(eventJSON{e.ID, instant(e.At), string(e.Actor), string(e.Action), e.Subject, e.Reason, e.Details},
							text(e.At), visible(e.Actor), e.Action, visible(e.Subject), visible(e.Reason), visible(detailsText(e.Details)))
					}
					if err != nil {
						return err
					}
				}
				if older {
					defer shown.tellMore(t, "events")
				}
				return list.end()
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&action, "action", "", "only this action, such as client.disable")
	f.StringVar(&q.Subject, "subject", "", "only this subject: a client id, an audience, a kid, a jti")
	f.DurationVar(&since, "since", 0, "only what happened within this time, such as 24h")
	shown.bind(cmd, 1000, "events")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func detailsText(details map[string]string) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(details)) {
		if details[k] != "" {
			all = append(all, k+"="+details[k])
		}
	}
	return strings.Join(all, ", ")
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
