package main

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/web/admin"
)

func auditHead(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "head", Short: "Print the last signed head, to keep it elsewhere",
		Long: "Print the last signed head, to keep it elsewhere. It is one line, NUMBER:DIGEST, which stands\n" +
			"for all events up to that number. Given that line, the command verify finds out if events\n" +
			"were cut off the end of the audit log, or all of it was replaced.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withAdmin(cmd, func(api *adminAPI) error {
				var h admin.AuditHead
				if _, err := api.do(cmd.Context(), request{method: http.MethodGet, path: "/audit/head"}, &h); err != nil {
					return err
				}
				if asJSON {
					return t.printJSON(h)
				}
				_, err := fmt.Fprintln(t.stdout, headText(h))
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func headText(h admin.AuditHead) string { return fmt.Sprintf("%d:%s", h.Number, h.Digest) }

// verifiedJSON is what a verification of the whole audit log has found.
type verifiedJSON struct {
	Checked   int               `json:"checked"`
	Flaws     []admin.AuditFlaw `json:"flaws"`
	Head      *admin.AuditHead  `json:"head"`
	Unchained int64             `json:"unchained"`
}

func auditVerify(t *terminal) *cobra.Command {
	var (
		kept   chain.Mark
		asJSON bool
	)
	cmd := &cobra.Command{
		Use: "verify [--head NUMBER:DIGEST]", Short: "Verify that the audit log is as it was written",
		Long: "Verify that the audit log is as it was written: that no event was edited, removed, moved or\n" +
			"put in since it was chained, which a server does within a second. Events that were cut off\n" +
			"the end are missed only with --head. What is wrong is printed, and the exit status is 1. It\n" +
			"needs the master key, which vouches for the keys that have signed.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withAdminKeys(cmd, func(api *adminAPI) error {
				found, err := verifyAudit(cmd, api, kept)
				if err != nil {
					return err
				}
				if asJSON {
					if err := t.printJSON(found); err != nil {
						return err
					}
				} else {
					t.printVerified(found)
				}
				if n := len(found.Flaws); n > 0 {
					return fmt.Errorf("the audit log is not as it was written: %s", counted(int64(n), "flaw"))
				}
				return nil
			})
		},
	}
	cmd.Flags().TextVar(&kept, "head", chain.Mark{}, "a `head` that was kept elsewhere, as ingam audit head printed it")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// verifyAudit verifies the audit log part by part.
func verifyAudit(cmd *cobra.Command, api *adminAPI, kept chain.Mark) (verifiedJSON, error) {
	found := verifiedJSON{Flaws: []admin.AuditFlaw{}}
	query := url.Values{}
	if kept.Number != 0 {
		query.Set("head", kept.String())
	}
	defer api.progress.begin("verifying the audit log")()
	for {
		var part admin.Verification
		if _, err := api.do(cmd.Context(), request{method: http.MethodGet, path: "/audit/verify", query: query}, &part); err != nil {
			return found, err
		}
		found.Checked += part.Checked
		found.Flaws = append(found.Flaws, part.Flaws...)
		if part.Next == "" {
			found.Head, found.Unchained = part.Head, part.Unchained
			return found, nil
		}
		api.progress.say(fmt.Sprintf("verifying the audit log: %d events so far", found.Checked))
		query.Set("cursor", part.Next)
	}
}

func (t *terminal) printVerified(v verifiedJSON) {
	for _, f := range v.Flaws {
		what := "event " + strconv.FormatInt(f.First, 10)
		if f.Last != f.First {
			what = fmt.Sprintf("events %d to %d", f.First, f.Last)
		}
		if f.EventID != 0 {
			what += fmt.Sprintf(" (id %d)", f.EventID)
		}
		fmt.Fprintf(t.stdout, "%s: %s: %s\n", what, f.Kind, f.Detail)
	}
	if v.Head == nil {
		fmt.Fprintln(t.stdout, "nothing is chained yet")
	} else {
		fmt.Fprintf(t.stdout, "%s verified; the last head is %s, signed at %s\n", counted(int64(v.Checked), "event"), headText(*v.Head), instantText(v.Head.At))
	}
	if v.Unchained > 0 {
		fmt.Fprintf(t.stdout, "%s not chained yet: a server does that within a second\n", counted(v.Unchained, "event"))
	}
}

func auditExport(t *terminal) *cobra.Command {
	var after int64
	cmd := &cobra.Command{
		Use: "export [--after NUMBER]", Short: "Write the audit log, so that others can verify it",
		Long: "Write the audit log to standard output, one JSON object in each line: the public keys, then\n" +
			"the events in the order of their numbers, each with its digest, and the signed heads among\n" +
			"them. Whoever has these lines can verify them without the server.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if after < 0 {
				return usage(cmd, "--after is a number of an event")
			}
			return t.withAdminKeys(cmd, func(api *adminAPI) error {
				to := bufio.NewWriterSize(t.stdout, 64<<10)
				query := url.Values{"chain": {"true"}, "after": {strconv.FormatInt(after, 10)}}
				_, err := api.do(cmd.Context(), request{method: http.MethodGet, path: admin.ExportPath, query: query, prints: true}, to)
				var refused *problemError
				if errors.As(err, &refused) {
					return err
				}
				if err = errors.Join(err, to.Flush()); err != nil {
					return fmt.Errorf("the export is not complete: %w", err)
				}
				return nil
			})
		},
	}
	cmd.Flags().Int64Var(&after, "after", 0, "only what comes after the event with this `number`, to go on where an earlier export ended")
	return cmd
}
