package storagetest

import (
	"context"
	"errors"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
)

// everyCall returns one call of each method that uses the database.
func everyCall(ctx context.Context, s *storage.Store) map[string]func() error {
	calls := Reads(ctx, s)
	ev := event("test", "")
	for name, call := range map[string]func() error{
		"CreateAPI":    func() error { return s.CreateAPI(ctx, apis.API{ID: "i", Audience: "x"}, ev) },
		"UpdateAPI":    func() error { return s.UpdateAPI(ctx, "x", func(*apis.API) (*audit.Event, error) { return &ev, nil }) },
		"DeleteAPI":    func() error { return s.DeleteAPI(ctx, "x", nil, ev) },
		"CreateClient": func() error { return s.CreateClient(ctx, clients.Client{ID: "x"}, ev) },
		"UpdateClient": func() error {
			return s.UpdateClient(ctx, "a", func(*clients.Client, []apis.API) (*audit.Event, error) { return &ev, nil })
		},
		"SetClientDisabled":  func() error { return s.SetClientDisabled(ctx, "a", true, ev) },
		"DeleteClient":       func() error { return s.DeleteClient(ctx, "a", nil, ev) },
		"AddClientSecret":    func() error { return s.AddClientSecret(ctx, "a", secret("x", noon), ev) },
		"RemoveClientSecret": func() error { _, err := s.RemoveClientSecret(ctx, "a", "", ev); return err },
		"MarkApplied":        func() error { return s.MarkApplied(ctx, administration.Mark{Kind: "client", ID: "x", Version: "1"}) },
		"NoteSecretUses": func() error {
			return s.NoteSecretUses(ctx, map[clients.SecretRef]time.Time{{ClientID: "a", ID: "s1"}: noon})
		},
		"CutToken":      func() error { return s.CutToken(ctx, "x", noon, status.Ref{}, ev) },
		"CutClient":     func() error { return s.CutClient(ctx, "a", ev) },
		"Restored":      func() error { return s.Restored(ctx, ev) },
		"CutEverything": func() error { return s.CutEverything(ctx, ev) },
		"TakeIssuer":    func() error { _, err := s.TakeIssuer(ctx, "https://id.test"); return err },
		"ChangeIssuer":  func() error { return s.ChangeIssuer(ctx, "https://id.test", ev) },
		"ChangeKeys": func() error {
			return s.ChangeKeys(ctx, keys.Change{At: noon, Insert: []keys.Record{newKey("x", keys.Tokens, 1)}})
		},
		"CreateUser": func() error { return s.CreateUser(ctx, accounts.User{ID: "x", Username: "x"}, ev) },
		"UpdateUser": func() error {
			return s.UpdateUser(ctx, "x", func(*accounts.User, accounts.Others) (*audit.Event, error) { return &ev, nil })
		},
		"RenewEmailForms": func() error { return s.RenewEmailForms(ctx) },
		"SetUserDisabled": func() error { return s.SetUserDisabled(ctx, "x", true, nil, ev) },
		"SetPassword":     func() error { return s.SetPassword(ctx, "x", "x", false, nil, ev) },
		"AddLink":         func() error { return s.AddLink(ctx, accounts.Link{UserID: "x"}, hash("x"), nil, ev) },
		"UseLink":         func() error { return s.UseLink(ctx, hash("x"), noon, "x", ev) },
		"CutUser":         func() error { return s.CutUser(ctx, "x", ev) },
		"DeleteUser":      func() error { return s.DeleteUser(ctx, "x", nil, ev) },
		"BeginSession": func() error {
			return s.BeginSession(ctx, sessions.Session{ID: "x", UserID: "x"}, hash("x"), hash("x"), ev)
		},
		"RenewSession": func() error {
			return s.RenewSession(ctx, sessions.Session{ID: "x", UserID: "x"}, hash("x"), hash("x"), ev)
		},
		"TouchSession":   func() error { return s.TouchSession(ctx, "x", noon, noon) },
		"EndSession":     func() error { return s.EndSession(ctx, "x", "x", ev) },
		"EndSessions":    func() error { _, err := s.EndSessions(ctx, "x", "x", ev); return err },
		"AddConsent":     func() error { return s.AddConsent(ctx, consents.Consent{UserID: "x", ClientID: "a"}, ev) },
		"DeleteConsent":  func() error { return s.DeleteConsent(ctx, "x", "a", ev) },
		"CountGuess":     func() error { _, err := s.CountGuess(ctx, "x", noon, noon); return err },
		"UncountGuesses": func() error { return s.UncountGuesses(ctx, []throttle.Tally{{Subject: "x"}}) },
		"SaveCode":       func() error { return s.SaveCode(ctx, hash("x"), grants.Code{ClientID: "a"}, noon) },
		"RedeemCode":     func() error { return s.RedeemCode(ctx, hash("x"), noon, grants.Grant{ID: "x"}) },
		"BeginGrant":     func() error { return s.BeginGrant(ctx, grants.Grant{ID: "x"}, noon) },
		"RotateGrant":    func() error { return s.RotateGrant(ctx, "x", 1, grants.Refresh{}, status.Ref{}, status.Ref{}, noon) },
		"RevokeGrant":    func() error { return s.RevokeGrant(ctx, "x", ev) },
		"Record":         func() error { return s.Record(ctx, []audit.Event{ev}) },
		"Purge":          func() error { _, err := s.Purge(ctx, noon, 10, noon); return err },
	} {
		calls[name] = call
	}
	return calls
}

// Reads returns one call of each method that only reads. They succeed if there is a
// client "a".
func Reads(ctx context.Context, s *storage.Store) map[string]func() error {
	return map[string]func() error{
		"APIs":         func() error { _, err := s.APIs(ctx); return err },
		"Client":       func() error { _, err := s.Client(ctx, "a"); return err },
		"Applied":      func() error { _, err := s.Applied(ctx); return err },
		"Clients":      func() error { _, err := s.Clients(ctx); return err },
		"AuditPart":    func() error { _, err := s.AuditPart(ctx, audit.Query{}, 10); return err },
		"AuditMoments": func() error { _, _, err := s.AuditMoments(ctx, "x", noon, 10); return err },
		"Counts":       func() error { _, err := s.Counts(ctx, noon); return err },
		"Schema":       func() error { _, err := s.Schema(ctx); return err },
		"Epochs": func() error {
			_, err := s.Epochs(ctx, "x", "a", noon)
			if errors.Is(err, grants.ErrNotFound) {
				return nil
			}
			return err
		},
		"ChangeNumber": func() error { _, err := s.ChangeNumber(ctx); return err },
		"History":      func() error { _, err := s.History(ctx, changes.Position{}); return err },
		"ChangesAfter": func() error { _, err := s.ChangesAfter(ctx, 0, 10); return err },
		"ServerEpoch":  func() error { _, err := s.ServerEpoch(ctx); return err },
		"Standing":     func() error { _, err := s.Standing(ctx, revocation.Question{}); return err },
		"Users":        func() error { _, err := s.Users(ctx, accounts.Query{}); return err },
		"SharedForms":  func() error { _, err := s.SharedForms(ctx, []string{"x"}); return err },
		"UsersByForm":  func() error { _, err := s.UsersByForm(ctx, "x", 3); return err },
		"Sessions":     func() error { _, _, err := s.Sessions(ctx, "x", "", 10, noon); return err },
		"ListSessions": func() error { _, err := All(s.ListSessions(ctx, sessions.Query{}, noon)); return err },
		"LinkOwner": func() error {
			_, _, err := s.LinkOwner(ctx, hash("x"), noon)
			if errors.Is(err, accounts.ErrNoLink) {
				return nil
			}
			return err
		},
		"KnownDevice": func() error { _, err := s.KnownDevice(ctx, "x", hash("x")); return err },
		"Consent":     func() error { _, err := s.Consent(ctx, "x", "a"); return err },
		"Consents":    func() error { _, err := s.Consents(ctx, "x"); return err },
		"Holdings":    func() error { _, err := s.Holdings(ctx, "x", noon); return err },
		"StatusOwner": func() error {
			_, _, err := s.StatusOwner(ctx, status.Ref{List: 1, Index: 1})
			if errors.Is(err, indices.ErrNoOwner) {
				return nil
			}
			return err
		},
		"Holders":      func() error { _, err := All(s.Holders(ctx, "a", "")); return err },
		"SearchGrants": func() error { _, err := s.SearchGrants(ctx, grants.Query{UserID: "x", Limit: 10}, noon); return err },
		"ListedGrant": func() error {
			_, err := s.ListedGrant(ctx, "x")
			if errors.Is(err, grants.ErrNotFound) {
				return nil
			}
			return err
		},
		"StandingOfGrant": func() error { _, err := s.Standing(ctx, revocation.Question{GrantID: "x"}); return err },
		"Clock":           func() error { _, err := s.Clock(ctx); return err },
		"SigningKeys":     func() error { _, err := s.SigningKeys(ctx); return err },
		"MigrationStatus": func() error { _, err := s.MigrationStatus(ctx); return err },
		"CheckSchema":     func() error { return s.CheckSchema(ctx) },
		"Ping":            func() error { return s.Ping(ctx) },
	}
}
