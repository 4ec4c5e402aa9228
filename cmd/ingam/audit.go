package main

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/web/admin"
	"github.com/spf13/cobra"
)

func auditCommand(t *terminal) *cobra.Command {
	return group("audit", "Who changed what, when and why", auditList(t), auditVerify(t), auditHead(t), auditExport(t))
}

func auditList(t *terminal) *cobra.Command {
	var (
		subject, actor, action string
		since                  time.Duration
		shown                  bound
		asJSON                 bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the newest events, oldest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := shown.check(cmd); err != nil {
				return err
			}
			query := url.Values{}
			for name, value := range map[string]string{"action": action, "subject": subject, "actor": actor} {
				if value != "" {
					query.Set(name, value)
				}
			}
			if subject == "" && cmd.Flags().Changed("subject") {
				query.Set("no_subject", "true")
			}
			if actor == "" && cmd.Flags().Changed("actor") {
				query.Set("actor", string(audit.Operator(""))) // nobody has no name
			}
			if since > 0 {
				query.Set("since", *instant(t.now().Add(-since)))
			}
			return t.withAdmin(cmd, func(api *adminAPI) error {
				older, err := int64(0), error(nil)
				if !shown.all {
					if older, err = leftOut(cmd.Context(), api, query, shown.limit); err != nil {
						return err
					}
				}
				query.Set("after", strconv.FormatInt(older, 10))
				list := t.printList(asJSON, "AT", "ACTOR", "ACTION", "SUBJECT", "REASON", "DETAILS")
				err = eachEvent(cmd.Context(), api, "oldest", query, func(e admin.Event) error {
					if !shown.all && list.n == shown.limit {
						return errEnough // it was stored since
					}
					return list.add(e, instantText(e.At), visible(withName(e.Actor, e.ActorName)), e.Action,
						visible(withName(e.Subject, e.SubjectName)), visible(e.Reason), visible(detailsText(e)))
				})
				if err != nil {
					return err
				}
				if older != 0 {
					defer shown.tellMore(t, "the newest events")
				}
				return list.end()
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&action, "action", "", "only this action, such as client.disable")
	f.StringVar(&subject, "subject", "", "only this subject: a user or client by name or id, an audience, a kid, a jti")
	f.StringVar(&actor, "actor", "", "only what this actor did: a user or client by name or id, or an actor as printed, such as cli:root for who ran a command")
	f.DurationVar(&since, "since", 0, "only what happened within this time, such as 24h")
	shown.bind(cmd, 1000, "the newest events")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// errEnough ends a walk through a list.
var errEnough = errors.New("enough")

// eachEvent calls do with each event, in an order, until do returns errEnough.
func eachEvent(ctx context.Context, api *adminAPI, order string, query url.Values, do func(admin.Event) error) error {
	query = maps.Clone(query)
	query.Set("order", order)
	if err := eachOf(ctx, api, "/audit", query, do); !errors.Is(err, errEnough) {
		return err
	}
	return nil
}

// leftOut returns the id of the newest event that a limit leaves out; zero if there is
// none. Nothing but that is kept, so that the limit may be high.
func leftOut(ctx context.Context, api *adminAPI, query url.Values, limit int) (id int64, err error) {
	n := 0
	err = eachEvent(ctx, api, "newest", query, func(e admin.Event) error {
		if n++; n > limit {
			id = e.ID
			return errEnough
		}
		return nil
	})
	return id, err
}

// withName returns an id followed by its name in brackets, if it has one.
func withName(id, name string) string {
	if name == "" || name == id {
		return id
	}
	return id + " (" + name + ")"
}

func detailsText(e admin.Event) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(e.Details)) {
		switch v := e.Details[k]; {
		case k == "user":
			all = append(all, k+"="+withName(v, e.UserName))
		case v != "":
			all = append(all, k+"="+v)
		}
	}
	return strings.Join(all, ", ")
}

// visible replaces control characters in text that others wrote. Otherwise it could
// move the cursor or forge a line of the output.
func visible[S ~string](s S) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, string(s))
}
