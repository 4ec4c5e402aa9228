package storage

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"gorm.io/gorm"
)

// frequent are the statements of introspections and refreshes, as the driver takes them.
// They do not go through gorm, which writes a statement anew each time, byte by byte, and
// finds the place for each column by reflection. A refresh would take 3 to 5 percent more
// of CPU time.
type frequent struct{ standing, standingOfGrant, grant, rotate string }

func (s *Store) frequentStatements() frequent {
	f := frequent{
		standing:        "SELECT " + standingColumns + " FROM server WHERE id = 1",
		standingOfGrant: "SELECT " + standingColumns + grantStanding + " FROM server WHERE id = 1",
		grant:           "SELECT " + s.grantStandingColumns() + " FROM grants AS g WHERE g.id = ?",
		rotate:          fmt.Sprintf(rotateSQL, s.dialect.now),
	}
	if s.Engine() == PostgreSQL {
		for _, statement := range []*string{&f.standing, &f.standingOfGrant, &f.grant, &f.rotate} {
			*statement = numbered(*statement)
		}
	}
	return f
}

// numbered writes the parameters of a statement as PostgreSQL has them: $1, $2, …
// instead of ?.
func numbered(statement string) string {
	parts := strings.Split(statement, "?")
	for i, part := range parts[1:] {
		parts[0] += "$" + strconv.Itoa(i+1) + part
	}
	return parts[0]
}

// row reads one row into columns. It returns sql.ErrNoRows if there is none.
func (s *Store) row(ctx context.Context, statement string, args, columns []any) error {
	if s.Engine() == SQLite {
		// The query takes microseconds on a local file and waits for nobody. To be
		// cancelable it would need a goroutine, which costs a third more.
		if err := ctx.Err(); err != nil {
			return err
		}
		ctx = context.WithoutCancel(ctx)
	}
	return s.readPool.QueryRowContext(ctx, statement, args...).Scan(columns...)
}

// exec runs a statement in what db stands for, a pool or a transaction, and returns the
// number of rows that it changed.
func exec(db *gorm.DB, statement string, args ...any) (int64, error) {
	result, err := db.Statement.ConnPool.ExecContext(db.Statement.Context, statement, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
