package processes

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/oapi-codegen/nullable"

	"github.com/ingam/ingam/cmd/ingam/processes/adminclient"
)

// robot registers a client that may do everything, of whom tokens can be had.
func (d *deployment) robot() (secret string) {
	d.t.Helper()
	if e := d.command(goodPassword+"\n", nil, "admin", "bootstrap", "--username", "first", "--password-stdin"); e.status != 0 {
		d.t.Fatal(e.stderr)
	}
	var created clientJSON
	d.mustJSON(&created, "client", "create", "--id", "robot", "--name", "Robot", "--grant", "client_credentials", "--auth", "client_secret_basic",
		"--scope", "ingam:admin", "--audience", d.issuer+adminPath)
	return created.ClientSecret
}

// drive calls the admin API of a server by the generated client.
type drive struct {
	testing.TB
	ctx context.Context
	s   *server
	c   *adminclient.ClientWithResponses
	// answers is what checks each answer.
	answers *conforming
	// app signs people in.
	app app
}

func newDrive(t testing.TB, s *server, secret string) *drive {
	t.Helper()
	d := &drive{TB: t, ctx: t.Context(), s: s, answers: s.conforming()}
	c, err := adminclient.NewClientWithResponses(s.url+adminPath, adminclient.WithHTTPClient(&http.Client{Transport: d.answers}),
		adminclient.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+s.token("robot", secret))
			return nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	d.c = c
	return d
}

// taken is what a call has returned.
type taken[A interface{ StatusCode() int }] struct {
	answer A
	err    error
}

// take takes what a call returns.
func take[A interface{ StatusCode() int }](answer A, err error) taken[A] {
	return taken[A]{answer, err}
}

// as returns the answer, which must have a status.
func (k taken[A]) as(t testing.TB, status int) A {
	t.Helper()
	if k.err != nil {
		t.Fatal(k.err)
	}
	if got := k.answer.StatusCode(); got != status {
		t.Fatalf("%d instead of %d: %s", got, status, reflect.ValueOf(k.answer).Elem().FieldByName("Body").Bytes())
	}
	return k.answer
}

// TestAGeneratedClientDrivesEveryOperation: a client that a stranger has generated from the
// document does all that there is to do, and each answer is as the document says.
func TestAGeneratedClientDrivesEveryOperation(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, on *deployment) {
		on.oneAtATime()
		secret := on.robot()
		d := newDrive(t, on.start(), secret)
		d.apis()
		d.clients()
		d.users()
		d.access()
		d.cuts()
		d.keys()
		d.audit()
		d.files()
		d.deletions()
		for path, item := range d.answers.Paths.Map() {
			for method, op := range item.Operations() {
				if !slices.ContainsFunc(d.answers.statuses[op.OperationID], func(status int) bool { return status < 300 }) {
					t.Errorf("nothing has called %s %s with success", method, path)
				}
			}
		}
	})
}

const driven = "https://driven.test/v1"

func (d *drive) apis() {
	made := take(d.c.CreateAPIWithResponse(d.ctx, nil, adminclient.NewAPI{
		Audience: driven, Name: new("Driven"), Scopes: &[]string{"read", "write"}, SigningAlg: new("HS256"),
		ScopeTexts: &map[string]map[string]string{"read": {"en": "read"}},
	})).as(d, http.StatusCreated)
	if made.JSON201.ApiSecret == nil || made.Headers201.Location == nil || *made.Headers201.Location != d.s.d.issuer+adminPath+"/apis/"+made.JSON201.Id {
		d.Errorf("%+v", made)
	}
	if exists := take(d.c.CreateAPIWithResponse(d.ctx, nil, adminclient.NewAPI{Audience: driven, Name: new("Again"), Scopes: &[]string{"read"}})).as(d, http.StatusConflict); exists.ApplicationproblemJSON409.Type != "urn:ingam:problem:exists" {
		d.Errorf("%+v", exists)
	}
	list := take(d.c.ListAPIsWithResponse(d.ctx, &adminclient.ListAPIsParams{Audience: new(driven)})).as(d, http.StatusOK)
	if len(list.JSON200.Items) != 1 || list.JSON200.Items[0].Id != made.JSON201.Id {
		d.Errorf("%s", list.Body)
	}
	// The slashes of an audience are no parts of the path.
	shown := take(d.c.GetAPIWithResponse(d.ctx, driven)).as(d, http.StatusOK)
	change := adminclient.UpdateAPIJSONRequestBody{AccessTtl: nullable.NewNullableWithValue("5m"), Roles: new(true)}
	changed := take(d.c.UpdateAPIWithResponse(d.ctx, driven, &adminclient.UpdateAPIParams{IfMatch: *shown.Headers200.ETag}, change)).as(d, http.StatusOK)
	if *changed.JSON200.AccessTtl != "5m0s" || !changed.JSON200.Roles {
		d.Errorf("%s", changed.Body)
	}
	take(d.c.UpdateAPIWithResponse(d.ctx, driven, &adminclient.UpdateAPIParams{IfMatch: *shown.Headers200.ETag}, change)).as(d, http.StatusPreconditionFailed)
	take(d.c.UpdateAPIWithResponse(d.ctx, driven, &adminclient.UpdateAPIParams{}, change)).as(d, http.StatusPreconditionRequired)
	back := take(d.c.UpdateAPIWithResponse(d.ctx, driven, &adminclient.UpdateAPIParams{IfMatch: "*"}, adminclient.APIChange{AccessTtl: nullable.NewNullNullable[string]()})).as(d, http.StatusOK)
	if back.JSON200.AccessTtl != nil || !back.JSON200.Roles {
		d.Errorf("%s", back.Body)
	}

	second := take(d.c.AddAPISecretWithResponse(d.ctx, driven, nil)).as(d, http.StatusCreated).JSON201.Id
	if used := take(d.c.UseAPISecretWithResponse(d.ctx, driven, second, nil)).as(d, http.StatusOK); !used.JSON200.Changed || !used.JSON200.Signs {
		d.Errorf("%s", used.Body)
	}
	take(d.c.RemoveAPISecretWithResponse(d.ctx, driven, second, nil)).as(d, http.StatusConflict)
	take(d.c.RemoveAPISecretWithResponse(d.ctx, driven, (*made.JSON201.Secrets)[0].Id, nil)).as(d, http.StatusOK)
	take(d.c.GetAPIWithResponse(d.ctx, "https://nothing.test")).as(d, http.StatusNotFound)
}

func (d *drive) clients() {
	made := take(d.c.CreateClientWithResponse(d.ctx, &adminclient.CreateClientParams{Reason: new("a test")}, adminclient.ClientRegistration{
		ClientId: "job", Name: new("Job"), TokenEndpointAuthMethod: "client_secret_basic", GrantTypes: &[]string{"client_credentials"},
		Audiences: &[]string{driven}, Scopes: &[]string{"read"},
	})).as(d, http.StatusCreated)
	if made.JSON201.ClientSecret == nil || len(made.JSON201.Secrets) != 1 {
		d.Errorf("%s", made.Body)
	}
	d.app = app{id: "app", verifier: strings.Repeat("v", 43)}
	take(d.c.CreateClientWithResponse(d.ctx, nil, adminclient.ClientRegistration{
		ClientId: d.app.id, Name: new("App"), TokenEndpointAuthMethod: "none", GrantTypes: &[]string{"authorization_code", "refresh_token"}, RedirectUris: &[]string{callback},
		Audiences: &[]string{driven}, Scopes: &[]string{"openid", "read", "offline_access"}, RefreshGrace: nullable.NewNullableWithValue("10s"),
	})).as(d, http.StatusCreated)
	invalid := take(d.c.CreateClientWithResponse(d.ctx, nil, adminclient.ClientRegistration{ClientId: "bad", Name: new("Bad"), TokenEndpointAuthMethod: "none", RedirectUris: &[]string{"javascript:alert(1)"}, GrantTypes: &[]string{"authorization_code"}})).as(d, http.StatusUnprocessableEntity)
	if flaws := invalid.ApplicationproblemJSON422.Errors; flaws == nil || *(*flaws)[0].Pointer != "/redirect_uris/0" {
		d.Errorf("%s", invalid.Body)
	}
	var all []string
	for cursor := (*string)(nil); ; {
		page := take(d.c.ListClientsWithResponse(d.ctx, &adminclient.ListClientsParams{Limit: new(int64(1)), Cursor: cursor})).as(d, http.StatusOK).JSON200
		for _, c := range page.Items {
			all = append(all, c.ClientId)
		}
		if cursor = page.NextCursor; cursor == nil {
			break
		}
	}
	if want := []string{"app", "ingam-cli", "job", "robot"}; !slices.Equal(all, want) {
		d.Errorf("%q", all)
	}
	shown := take(d.c.GetClientWithResponse(d.ctx, d.app.id)).as(d, http.StatusOK)
	changed := take(d.c.UpdateClientWithResponse(d.ctx, d.app.id, &adminclient.UpdateClientParams{IfMatch: *shown.Headers200.ETag}, adminclient.ClientChange{
		RefreshGrace: nullable.NewNullNullable[string](), RefreshIdToken: new(false), PostLogoutRedirectUris: &[]string{},
	})).as(d, http.StatusOK)
	if !changed.JSON200.RefreshGrace.IsNull() || changed.JSON200.RefreshIdToken || changed.JSON200.Name != "App" {
		d.Errorf("%s", changed.Body)
	}
	if off := take(d.c.DisableClientWithResponse(d.ctx, "job", nil)).as(d, http.StatusOK); !off.JSON200.Disabled {
		d.Errorf("%s", off.Body)
	}
	take(d.c.EnableClientWithResponse(d.ctx, "job", &adminclient.EnableClientParams{Settle: new(true)})).as(d, http.StatusOK)
	added := take(d.c.AddClientSecretWithResponse(d.ctx, "job", nil, adminclient.NewSecret{})).as(d, http.StatusCreated).JSON201
	take(d.c.AddClientSecretWithBodyWithResponse(d.ctx, "job", nil, "application/json", nil)).as(d, http.StatusConflict)
	take(d.c.RemoveClientSecretWithResponse(d.ctx, "job", added.Id, nil)).as(d, http.StatusOK)
	take(d.c.RemoveClientSecretWithResponse(d.ctx, "job", "oldest", nil)).as(d, http.StatusConflict)
}

// driver is a user whom the drive has made.
const (
	driver         = "driver"
	secondPassword = "another horse, another battery"
)

func (d *drive) users() {
	made := take(d.c.CreateUserWithResponse(d.ctx, nil, adminclient.NewUser{
		Username: new(driver), Password: new(secondPassword), Email: new("driver@test.example"), Claims: &map[string]any{"name": "Kim <b>"},
	})).as(d, http.StatusCreated)
	id := made.JSON201.Id
	if list := take(d.c.ListUsersWithResponse(d.ctx, &adminclient.ListUsersParams{Username: new(driver)})).as(d, http.StatusOK); len(list.JSON200.Items) != 1 {
		d.Errorf("%s", list.Body)
	}
	shown := take(d.c.GetUserWithResponse(d.ctx, id)).as(d, http.StatusOK)
	changed := take(d.c.UpdateUserWithResponse(d.ctx, id, &adminclient.UpdateUserParams{IfMatch: *shown.Headers200.ETag}, adminclient.UserChange{
		EmailVerified: nullable.NewNullableWithValue(true), Roles: &[]string{"ops"},
	})).as(d, http.StatusOK)
	if !changed.JSON200.EmailVerified.MustGet() || changed.JSON200.Claims["name"] != "Kim <b>" {
		d.Errorf("%s", changed.Body)
	}
	take(d.c.UpdateUserWithResponse(d.ctx, id, &adminclient.UpdateUserParams{IfMatch: "*"}, adminclient.UserChange{Id: new("another")})).as(d, http.StatusUnprocessableEntity)
	if off := take(d.c.DisableUserWithResponse(d.ctx, id, nil)).as(d, http.StatusOK); !off.JSON200.Disabled {
		d.Errorf("%s", off.Body)
	}
	take(d.c.EnableUserWithResponse(d.ctx, id, nil)).as(d, http.StatusOK)
	take(d.c.SetPasswordWithResponse(d.ctx, id, nil, adminclient.NewPassword{Password: "password"})).as(d, http.StatusUnprocessableEntity)
	take(d.c.SetPasswordWithResponse(d.ctx, id, nil, adminclient.NewPassword{Password: goodPassword})).as(d, http.StatusNoContent)
	link := take(d.c.MakePasswordLinkWithResponse(d.ctx, id, nil, adminclient.NewLink{Kind: adminclient.NewLinkKindReset, ExpiresIn: new("2h")})).as(d, http.StatusCreated)
	if link.JSON201.Link == nil || *link.Headers201.CacheControl != "no-store" || link.JSON201.ExpiresAt.MustGet().Before(time.Now()) {
		d.Errorf("%s", link.Body)
	}
}

// access lets the user sign in and allow the app something, and ends that in each way.
func (d *drive) access() {
	begin := func() (grant adminclient.Grant) {
		d.app.tokens(d.s, d.s.person(), driver, "scope", "openid read offline_access")
		list := take(d.c.ListGrantsWithResponse(d.ctx, &adminclient.ListGrantsParams{User: new(driver), State: new(adminclient.ListGrantsParamsStateLive)})).as(d, http.StatusOK)
		if len(list.JSON200.Items) == 0 {
			d.Fatalf("%s", list.Body)
		}
		return list.JSON200.Items[0]
	}
	first := begin()
	shown := take(d.c.GetGrantWithResponse(d.ctx, first.Id)).as(d, http.StatusOK)
	if !shown.JSON200.OfflineAccess || shown.JSON200.Username != driver || !shown.JSON200.RevokedAt.IsNull() || len(shown.JSON200.Permissions) == 0 {
		d.Errorf("%s", shown.Body)
	}
	if of := take(d.c.ListAccessWithResponse(d.ctx, &adminclient.ListAccessParams{User: new(driver)})).as(d, http.StatusOK); len(of.JSON200.Items) != 1 || of.JSON200.Items[0].ClientId != d.app.id {
		d.Errorf("%s", of.Body)
	}
	take(d.c.ListAccessWithResponse(d.ctx, &adminclient.ListAccessParams{Client: new("nobody")})).as(d, http.StatusNotFound)
	if revoked := take(d.c.RevokeGrantWithResponse(d.ctx, first.Id, nil)).as(d, http.StatusOK); !revoked.JSON200.Revoked || revoked.JSON200.RevokedAt.IsNull() {
		d.Errorf("%s", revoked.Body)
	}
	begin()
	list := take(d.c.ListSessionsWithResponse(d.ctx, &adminclient.ListSessionsParams{UserId: new(first.User)})).as(d, http.StatusOK)
	if len(list.JSON200.Items) != 2 || list.JSON200.Items[0].User != driver {
		d.Fatalf("%s", list.Body)
	}
	take(d.c.EndSessionWithResponse(d.ctx, list.JSON200.Items[0].Id, nil)).as(d, http.StatusNoContent)
	take(d.c.EndSessionWithResponse(d.ctx, "none", nil)).as(d, http.StatusNotFound)
	if ended := take(d.c.EndSessionsWithResponse(d.ctx, &adminclient.EndSessionsParams{UserId: first.User})).as(d, http.StatusOK); ended.JSON200.Ended != 1 {
		d.Errorf("%s", ended.Body)
	}
	begin()
}

func (d *drive) cuts() {
	// The grant that is left of a session that was ended, for it is for offline access, and that of another.
	for _, target := range []adminclient.Target{{User: new(driver)}, {Client: new(d.app.id)}, {Everything: new(true)}} {
		if would := take(d.c.CutWithResponse(d.ctx, &adminclient.CutParams{DryRun: new(true)}, target)).as(d, http.StatusOK); would.JSON200.WouldEnd.Grants != 2 {
			d.Errorf("%s", would.Body)
		}
	}
	take(d.c.CutWithResponse(d.ctx, nil, adminclient.Target{})).as(d, http.StatusUnprocessableEntity)
	made := take(d.c.CutWithResponse(d.ctx, &adminclient.CutParams{Wait: new("10s")}, adminclient.Target{User: new(driver)})).as(d, http.StatusOK)
	if made.JSON200.Kind != adminclient.CutKindUser || *made.JSON200.Username != driver || made.JSON200.Verifiers == nil {
		d.Errorf("%s", made.Body)
	}
	take(d.c.CutWithResponse(d.ctx, nil, adminclient.Target{Jti: new("5PHUYPHEIDTG6VGPM5KGEUQXL4")})).as(d, http.StatusOK)
	take(d.c.AwaitCutWithResponse(d.ctx, nil)).as(d, http.StatusOK)
}

func (d *drive) keys() {
	before := take(d.c.ListKeysWithResponse(d.ctx, nil)).as(d, http.StatusOK).JSON200.Items
	signs := slices.IndexFunc(before, func(k adminclient.Key) bool { return k.Ring == "refresh" && k.State == adminclient.KeyStateActive })
	next := take(d.c.RotateKeysWithResponse(d.ctx, &adminclient.RotateKeysParams{Ring: adminclient.Refresh, Now: new(true), Force: new(true)})).as(d, http.StatusOK)
	if next.JSON200.Kid == before[signs].Kid {
		d.Errorf("%s", next.Body)
	}
	// The one after it was published a moment ago.
	take(d.c.RotateKeysWithResponse(d.ctx, &adminclient.RotateKeysParams{Ring: adminclient.Refresh, Now: new(true)})).as(d, http.StatusConflict)
	withdrawn := take(d.c.WithdrawKeyWithResponse(d.ctx, before[signs].Kid, &adminclient.WithdrawKeyParams{Force: new(true)})).as(d, http.StatusOK)
	if withdrawn.JSON200.State != adminclient.WithdrawnKeyStateWithdrawn || withdrawn.JSON200.WithdrawnAt.IsNull() {
		d.Errorf("%s", withdrawn.Body)
	}
	take(d.c.WithdrawKeyWithResponse(d.ctx, "none", nil)).as(d, http.StatusNotFound)
}

func (d *drive) audit() {
	oldest := adminclient.Oldest
	list := take(d.c.ListAuditWithResponse(d.ctx, &adminclient.ListAuditParams{Subject: new("job"), Order: &oldest, Since: new(time.Now().Add(-time.Hour))})).as(d, http.StatusOK)
	if first := list.JSON200.Items[0]; first.Action != "client.create" || first.Actor != "client:robot" || *first.Reason != "a test" {
		d.Errorf("%s", list.Body)
	}
	eventually(d, "the audit log is chained", time.Minute, func() bool {
		answer, err := d.c.GetAuditHeadWithResponse(d.ctx)
		if err != nil {
			d.Fatal(err)
		}
		return answer.StatusCode() == http.StatusOK
	})
	head := take(d.c.GetAuditHeadWithResponse(d.ctx)).as(d, http.StatusOK).JSON200
	verified := take(d.c.VerifyAuditWithResponse(d.ctx, nil)).as(d, http.StatusOK)
	if len(verified.JSON200.Flaws) > 0 || verified.JSON200.Head == nil || verified.JSON200.Head.Number < head.Number {
		d.Errorf("%s", verified.Body)
	}
	forged := take(d.c.VerifyAuditWithResponse(d.ctx, &adminclient.VerifyAuditParams{Head: new("1:" + strings.Repeat("0", 64))})).as(d, http.StatusOK)
	if len(forged.JSON200.Flaws) != 1 || forged.JSON200.Flaws[0].Kind != adminclient.Replaced {
		d.Errorf("%s", forged.Body)
	}
	for _, chain := range []bool{false, true} {
		lines := take(d.c.ExportAuditWithResponse(d.ctx, &adminclient.ExportAuditParams{Chain: &chain})).as(d, http.StatusOK)
		if n := strings.Count(string(lines.Body), "\n"); n < len(list.JSON200.Items) {
			d.Errorf("%d lines", n)
		}
	}
	v := take(d.c.GetOverviewWithResponse(d.ctx)).as(d, http.StatusOK)
	if v.JSON200.Clients.Count != 4 || v.JSON200.Users.Count != 2 || len(v.JSON200.Rings) < 2 {
		d.Errorf("%s", v.Body)
	}
}

func (d *drive) files() {
	is := take(d.c.ExportWithResponse(d.ctx)).as(d, http.StatusOK).JSON200
	same := adminclient.Application{Apis: is.Apis, Clients: is.Clients, Administrators: is.Administrators}
	if again := take(d.c.ApplyWithResponse(d.ctx, nil, same)).as(d, http.StatusOK); len(again.JSON200.Steps) != 0 {
		d.Errorf("%s", again.Body)
	}
	more := adminclient.Application{Clients: &[]adminclient.DesiredClient{{ClientId: "filed", Name: new("Filed"), TokenEndpointAuthMethod: "client_secret_post"}}}
	plan := take(d.c.ApplyWithResponse(d.ctx, &adminclient.ApplyParams{DryRun: new(true)}, more)).as(d, http.StatusOK).JSON200
	more.Plan = &plan.Plan
	done := take(d.c.ApplyWithResponse(d.ctx, nil, more)).as(d, http.StatusOK)
	if len(done.JSON200.Steps) != 1 || done.JSON200.Steps[0].Action != adminclient.Create || done.JSON200.Steps[0].ClientSecret == nil {
		d.Errorf("%s", done.Body)
	}
	take(d.c.ApplyWithResponse(d.ctx, nil, more)).as(d, http.StatusPreconditionFailed)
}

func (d *drive) deletions() {
	take(d.c.DeleteAPIWithResponse(d.ctx, driven, &adminclient.DeleteAPIParams{IfMatch: "*"})).as(d, http.StatusConflict)
	for _, id := range []string{"job", "filed", d.app.id} {
		take(d.c.DeleteClientWithResponse(d.ctx, id, &adminclient.DeleteClientParams{IfMatch: "*", Force: new(true)})).as(d, http.StatusNoContent)
	}
	take(d.c.DeleteAPIWithResponse(d.ctx, url.PathEscape(driven), &adminclient.DeleteAPIParams{IfMatch: "*"})).as(d, http.StatusNotFound)
	take(d.c.DeleteAPIWithResponse(d.ctx, driven, &adminclient.DeleteAPIParams{IfMatch: "*"})).as(d, http.StatusNoContent)
	users := take(d.c.ListUsersWithResponse(d.ctx, &adminclient.ListUsersParams{Username: new(driver)})).as(d, http.StatusOK).JSON200.Items
	take(d.c.DeleteUserWithResponse(d.ctx, users[0].Id, &adminclient.DeleteUserParams{IfMatch: "*"})).as(d, http.StatusNoContent)
	take(d.c.GetUserWithResponse(d.ctx, users[0].Id)).as(d, http.StatusNotFound)
}
