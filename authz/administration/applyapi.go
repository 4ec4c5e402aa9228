package administration

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
)

// api brings one API to what a file says.
func (a applying) api(ctx context.Context, d DesiredAPI) error {
	target := apis.API{Audience: d.Audience, TokenType: apis.ATJWT}
	if err := d.APISettings.apply(&target); err != nil {
		return err
	}
	is, err := a.apis.Get(ctx, d.Audience)
	if errors.Is(err, catalog.ErrNotFound) {
		made, err := a.apis.Create(ctx, a.by, d.Audience, d.APISettings, a.reason)
		if err != nil {
			return err
		}
		changed, err := apiDifferences(apis.API{TokenType: apis.ATJWT}, made)
		if err != nil {
			return err
		}
		return a.step(ctx, Step{Kind: KindAPI, ID: made.Audience, Action: StepCreate, Changes: changed}, apiMark(made, made))
	}
	if err != nil {
		return err
	}
	changed, err := apiDifferences(is, target)
	if err != nil || len(changed) == 0 {
		return err
	}
	settings, err := settingsOfAPI(target)
	if err != nil {
		return err
	}
	if _, _, _, err := a.apis.Update(ctx, a.by, is.ID, Any, settings, a.reason); err != nil {
		return err
	}
	step := Step{Kind: KindAPI, ID: is.Audience, Action: StepChange, Changes: changed, Drift: a.apiDrifted(is), before: catalog.Version(is)}
	return a.step(ctx, step, apiMark(target, is))
}

func apiDifferences(was, is apis.API) ([]Difference, error) {
	former, err := settingsOfAPI(was)
	if err != nil {
		return nil, err
	}
	next, err := settingsOfAPI(is)
	if err != nil {
		return nil, err
	}
	return differences(former, next)
}

// apiFacts are what files say of an API: its secrets are none of it.
func apiFacts(a apis.API) map[string]string {
	facts := catalog.Details(a)
	delete(facts, "secret_ids")
	return facts
}

// apiMark returns the mark of an API that becomes as a file says.
func apiMark(target, is apis.API) Mark {
	return Mark{Version: changes.Version(apiFacts(target)), CreatedAt: is.CreatedAt}
}

func (a applying) apiDrifted(is apis.API) bool {
	return a.marks.drifted(KindAPI, is.Audience, is.CreatedAt, changes.Version(apiFacts(is)))
}

// pruneAPIs deletes the APIs that a file once made, and that is in none any more.
func (a applying) pruneAPIs(ctx context.Context, d Desired) error {
	all, err := a.apis.List(ctx, "")
	if err != nil {
		return err
	}
	for _, is := range all {
		_, marked := a.marks.of(KindAPI, is.Audience, is.CreatedAt)
		if !marked || slices.ContainsFunc(d.APIs, func(wanted DesiredAPI) bool { return sameAudience(wanted.Audience, is.Audience) }) {
			continue
		}
		if err := a.apis.Delete(ctx, a.by, is.ID, Any, true, a.reason); err != nil {
			return named("API "+is.Audience, err)
		}
		step := Step{Kind: KindAPI, ID: is.Audience, Action: StepDelete, Drift: a.apiDrifted(is), before: catalog.Version(is)}
		if err := a.step(ctx, step, Mark{}); err != nil {
			return err
		}
	}
	return nil
}

// settingsOfAPI returns all settings of an API.
func settingsOfAPI(a apis.API) (APISettings, error) {
	texts := map[string]map[string]string(a.ScopeTexts.Of(a.Scopes))
	if texts == nil {
		texts = map[string]map[string]string{}
	}
	s := APISettings{
		Name: &a.Name, Scopes: &a.Scopes, ScopeTexts: &texts, AccessTTL: Null[string](nil), Roles: &a.Roles,
		TokenType: new(string(a.TokenType)), SigningAlg: new(a.Signing.Wants()), EncryptionKey: Null[map[string]any](nil),
	}
	if a.AccessTTL != 0 {
		s.AccessTTL = Null(new(a.AccessTTL.String()))
	}
	if a.EncryptionJWK == "" {
		return s, nil
	}
	var key map[string]any
	err := json.Unmarshal([]byte(a.EncryptionJWK), &key)
	s.EncryptionKey = Null(&key)
	return s, err
}
