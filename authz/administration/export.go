package administration

import (
	"context"
	"reflect"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
)

// Export returns what files would say of the APIs, clients and administrators that there
// are, without the server's own: what `ingam admin bootstrap` makes. Applied again, it
// changes nothing. Returns ErrForbidden unless the caller may read all of it.
func (a *Apply) Export(ctx context.Context, by Caller) (d Desired, err error) {
	for _, scope := range []string{APIsRead, ClientsRead, UsersRead} {
		if !by.May(scope) {
			return d, lacks(scope)
		}
	}
	list, err := a.apis.List(ctx, "")
	if err != nil {
		return d, err
	}
	for _, api := range list {
		if api.Administers() {
			continue
		}
		settings, err := settingsOfAPI(api)
		if err != nil {
			return d, err
		}
		usual, err := settingsOfAPI(apis.API{TokenType: apis.ATJWT})
		if err != nil {
			return d, err
		}
		omit(&settings, usual)
		d.APIs = append(d.APIs, DesiredAPI{api.Audience, settings})
	}
	if d.Clients, err = a.exportClients(ctx); err != nil {
		return d, err
	}
	d.Administrators, err = a.exportAdministrators(ctx)
	return d, err
}

func (a *Apply) exportClients(ctx context.Context) (all []DesiredClient, err error) {
	list, err := a.clients.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if c.ID == LoginClient {
			continue
		}
		// What follows from the rest is left out.
		usual, err := a.clients.registry.Completed(ctx, clients.Client{ID: c.ID, Auth: c.Auth, Grants: c.Grants, RedirectURIs: c.RedirectURIs, Audiences: c.Audiences, Origins: c.Origins})
		if err != nil {
			return nil, err
		}
		usual.Grants, usual.RedirectURIs, usual.Audiences, usual.Origins = nil, nil, nil, nil
		settings := settingsOf(c)
		omit(&settings, settingsOf(usual))
		all = append(all, DesiredClient{ID: c.ID, Auth: string(c.Auth), ClientSettings: settings})
	}
	return all, nil
}

func (a *Apply) exportAdministrators(ctx context.Context) (all []DesiredAdministrator, err error) {
	q := accounts.Query{Limit: 1000}
	for {
		list, err := a.users.users.List(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, u := range list {
			if roles := administrative(u.Roles); len(roles) > 0 {
				all = append(all, DesiredAdministrator{u.Username, roles})
			}
			q.After = u.Username
		}
		if len(list) < q.Limit {
			return all, nil
		}
	}
}

// omit takes away the settings that are as usual.
func omit[T any](settings *T, usual T) {
	is, as := reflect.ValueOf(settings).Elem(), reflect.ValueOf(usual)
	for i := range is.NumField() {
		switch f := is.Field(i); {
		case isEmpty(f) && isEmpty(as.Field(i)) || reflect.DeepEqual(f.Interface(), as.Field(i).Interface()):
			f.SetZero()
		case isEmpty(f) && f.Elem().Kind() == reflect.Slice:
			f.Elem().Set(reflect.MakeSlice(f.Elem().Type(), 0, 0)) // nil would be null, which is no list
		}
	}
}

// isEmpty reports whether a setting is an empty list or mapping, which may be nil or not.
func isEmpty(v reflect.Value) bool {
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return false
	}
	v = v.Elem()
	return (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
}
