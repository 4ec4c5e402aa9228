package storage

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/grants"
)

// lookedAtOnce is how many grants one statement of a search looks at, if not all of them
// may be what is searched for.
const lookedAtOnce = 1000

// SearchGrants implements grants.SearchStore.
func (s *Store) SearchGrants(ctx context.Context, q grants.Query, now time.Time) (grants.Page, error) {
	const op = "search grants"
	var page grants.Page
	var ids []string
	last, narrowed := q.After, narrows(q)
	for looked := 0; ; {
		n := q.Limit + 1 // one more, to know whether there are more
		if narrowed {
			n = min(lookedAtOnce, grants.MostLooked-looked)
		}
		some, err := s.candidates(ctx, q, last, n, now)
		if err != nil {
			return grants.Page{}, fault(op, err)
		}
		full := false
		for _, c := range some {
			matches, err := c.matches(q, now)
			if err != nil {
				return grants.Page{}, fault(op, err)
			}
			if full = matches && len(ids) == q.Limit; full {
				break
			}
			if last = c.place(); matches {
				ids = append(ids, c.ID)
			}
		}
		looked += len(some)
		if more := len(some) == n; full || more && looked >= grants.MostLooked {
			page.Next = last
			break
		} else if !more {
			break
		}
	}
	var err error
	for part := range slices.Chunk(ids, wholeAtOnce) {
		var whole []grants.Listed
		if whole, err = s.listedGrants(ctx, part); err != nil {
			break
		}
		page.Grants = append(page.Grants, whole...)
	}
	return page, fault(op, err)
}

// ListedGrant implements grants.SearchStore.
func (s *Store) ListedGrant(ctx context.Context, id string) (grants.Listed, error) {
	const op = "read grant"
	if !isText(id) {
		return grants.Listed{}, answer(op, "", refuse(grants.ErrNotFound))
	}
	found, err := s.listedGrants(ctx, []string{id})
	if err == nil && len(found) == 0 {
		err = refuse(grants.ErrNotFound)
	}
	if err != nil {
		return grants.Listed{}, answer(op, "", err)
	}
	return found[0], nil
}

// candidate is what a search knows of a grant to say whether it is meant.
type candidate struct {
	ID, ClientID, UserID string
	CreatedMS, ExpiresMS int64
	// Scopes and Stands are read if they matter.
	Scopes string
	Stands bool
}

func (c candidate) place() grants.Place { return grants.Place{CreatedAt: at(c.CreatedMS), ID: c.ID} }

// narrows reports whether a search leaves out grants of whom it looks up.
func narrows(q grants.Query) bool {
	owners := 0
	for _, id := range []string{q.SessionID, q.UserID, q.ClientID} {
		if id != "" {
			owners++
		}
	}
	return owners > 1 || q.Scope != "" || q.State != ""
}

// matches reports whether a grant is what is searched for. This is not left to the
// database: it could look at any number of rows for a page, and each engine would choose
// among the indices as it likes.
func (c candidate) matches(q grants.Query, now time.Time) (bool, error) {
	unexpired := c.ExpiresMS > ms(now)
	switch {
	case q.UserID != "" && q.UserID != c.UserID, q.ClientID != "" && q.ClientID != c.ClientID,
		q.State == grants.Unexpired && !unexpired,
		q.State == grants.Live && !(unexpired && c.Stands),
		q.State == grants.Ended && unexpired && c.Stands:
		return false, nil
	case q.Scope == "":
		return true, nil
	}
	scopes, err := unlist(c.Scopes)
	return slices.Contains(scopes, q.Scope), err
}

// candidates reads the next n grants of whom a search looks up, by the index that has them
// in order.
func (s *Store) candidates(ctx context.Context, q grants.Query, after grants.Place, n int, now time.Time) (all []candidate, err error) {
	if !isText(q.SessionID) || !isText(q.UserID) || !isText(q.ClientID) {
		return nil, nil
	}
	where, order, args := s.inOrder(q, after)
	scopes, stands := "''", "FALSE"
	if q.Scope != "" {
		scopes = "g.scopes"
	}
	if q.State == grants.Live || q.State == grants.Ended {
		stands = "CASE WHEN " + grantStands + " THEN TRUE ELSE FALSE END"
	}
	// Without gorm's reflection, which would take longer than the database.
	rows, err := s.reading(ctx).Raw("SELECT g.id, g.client_id, g.user_id, g.created_ms, g.expires_ms, "+scopes+", "+stands+
		" FROM grants AS g"+where+order+" LIMIT ?", append(args, n)...).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var c candidate
		if err := rows.Scan(&c.ID, &c.ClientID, &c.UserID, &c.CreatedMS, &c.ExpiresMS, &c.Scopes, &c.Stands); err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, rows.Err()
}

// inOrder returns the conditions that a part of an index fulfils, and the order of the
// index.
func (s *Store) inOrder(q grants.Query, after grants.Place) (where, order string, args []any) {
	var conditions []string
	only := func(condition string, values ...any) {
		conditions, args = append(conditions, condition), append(args, values...)
	}
	if before := (grants.Place{CreatedAt: q.Before}); !q.Before.IsZero() && (after.CreatedAt.IsZero() || before.CreatedAt.Before(after.CreatedAt)) {
		after = before // no id comes before the empty one
	}
	owner, id := "", ""
	switch {
	case q.SessionID != "":
		owner, id = "g.session_id", q.SessionID
	case q.UserID != "":
		owner, id = "g.user_id", q.UserID
	case q.ClientID != "":
		owner, id = "g.client_id", q.ClientID
	}
	order = " ORDER BY g.created_ms DESC, g.id DESC"
	switch {
	case owner == "":
	case s.Engine() == MySQL:
		// By an equation MariaDB would look up the owner alone in the index, and read all
		// that comes before the place as well.
		only(owner+" >= ? AND "+owner+" <= ?", id, id)
		order = " ORDER BY " + owner + " DESC, g.created_ms DESC, g.id DESC"
	default:
		only(owner+" = ?", id)
	}
	switch created := ms(after.CreatedAt); {
	case after.CreatedAt.IsZero():
	case s.Engine() == MySQL: // which finds no place by a pair of values
		only("(g.created_ms < ? OR g.created_ms = ? AND g.id < ?)", created, created, after.ID)
	default:
		only("(g.created_ms, g.id) < (?, ?)", created, after.ID)
	}
	if !q.Since.IsZero() {
		only("g.created_ms >= ?", ms(q.Since))
	}
	if conditions != nil {
		where = " WHERE " + strings.Join(conditions, " AND ")
	}
	return where, order, args
}

// listedGrants returns the grants with these ids that there are, in the order of a search.
func (s *Store) listedGrants(ctx context.Context, ids []string) ([]grants.Listed, error) {
	rows, err := s.reading(ctx).Raw(`
		SELECT `+s.grantStandingColumns()+`, COALESCE(n.username, ''), COALESCE(a.name, '')
		  FROM grants AS g LEFT JOIN users AS n ON n.id = g.user_id LEFT JOIN clients AS a ON a.id = g.client_id
		 WHERE g.id IN ? ORDER BY g.created_ms DESC, g.id DESC`, ids).Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := make([]grants.Listed, 0, len(ids))
	for rows.Next() {
		var row standingRow
		var l grants.Listed
		if err := rows.Scan(append(row.columns(), &l.Username, &l.ClientName)...); err != nil {
			return nil, err
		}
		if l.Standing, err = row.standing(); err != nil {
			return nil, err
		}
		list = append(list, l)
	}
	return list, rows.Err()
}
