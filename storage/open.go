package storage

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/migrations"
)

var (
	_ catalog.Store         = (*Store)(nil)
	_ audit.Store           = (*Store)(nil)
	_ changes.Store         = (*Store)(nil)
	_ clients.Store         = (*Store)(nil)
	_ revocation.Store      = (*Store)(nil)
	_ grants.Store          = (*Store)(nil)
	_ revocation.EpochStore = (*Store)(nil)

	_ lists.Store            = (*Store)(nil)
	_ indices.Store          = (*Store)(nil)
	_ listeners.Store        = (*Store)(nil)
	_ listeners.Acknowledged = (*Store)(nil)

	_ accounts.Store = (*Store)(nil)
	_ sessions.Store = (*Store)(nil)
	_ consents.Store = (*Store)(nil)
	_ throttle.Store = (*Store)(nil)
	_ signin.Store   = (*Store)(nil)
	_ keys.Store     = (*Store)(nil)
)

// Engine names a database engine.
type Engine string

// The engines there are. MySQL stands for MariaDB too.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
	MySQL      Engine = "mysql"
)

// Options size the connection pools. Zero means the default.
type Options struct {
	// MaxOpen bounds the connections; default 16, and no less than 3. See shares. On
	// SQLite it bounds the readers, beside which there is one writer.
	MaxOpen int
	// MaxIdle is how many stay open unused; default MaxOpen.
	MaxIdle int
	// MaxLifetime is after how long a connection is replaced, so that a change
	// of address or credentials gets through; default 30 minutes.
	MaxLifetime time.Duration

	// Existing refuses a SQLite file that is not there, with ErrNoDatabase,
	// instead of making it.
	Existing bool

	// Serving keeps a SQLite database from being restored for as long as the Store is
	// open: it may hold copies of what is in there.
	Serving bool
	// Restoring refuses a SQLite database on which a server is running, with ErrServing,
	// and keeps servers away for as long as the Store is open.
	Restoring bool

	// Wrap, if set, is put around the driver: to count what reaches it, or to
	// make it fail.
	Wrap func(driver.Connector) driver.Connector

	// schema is set by tests: to be an older or a newer binary. So is provenFor: to
	// wait less.
	schema    fs.FS
	provenFor time.Duration

	// history is the one that connections must lead to.
	history *served
}

// ErrNoDatabase: the file of a SQLite database is not there.
var ErrNoDatabase = errors.New("there is no database")

// Store is one database. Its methods are safe for concurrent use.
type Store struct {
	dialect dialect
	// On SQLite write has one connection and read cannot write; elsewhere they
	// are the same. watching is for what the server itself has to know.
	read, write, watching          *gorm.DB
	readPool, writePool, watchPool *sql.DB
	// ownGuess is the subject of the row that TryWriting writes.
	ownGuess string
	// statements and changing are for the single statements that write, and for
	// transactions.
	statements, changing *slots
	// uncounting is for what must not wait behind these: see UncountGuesses.
	uncounting *slots
	// connector opens further connections, for migrations.
	connector driver.Connector
	served    *served
	// file is the path of a SQLite database, reader the URI by which it is read, and
	// held what keeps restores away from it.
	file, reader string
	held         *os.File
	// logSeen and logInFile are Settle's: how the log was when it looked last, and
	// whether all of it is in the file.
	logSeen   logState
	logInFile bool
	schema    fs.FS
	// pooler is nil but on PostgreSQL.
	pooler *pooler
	// latest is the schema version that this binary was built for.
	latest int64
	// keysAtOnce is smaller in tests.
	keysAtOnce int
}

// dialect is what differs between the engines, beside the drivers' errors.
type dialect struct {
	engine Engine
	// takeNumber raises the change sequence by a step and returns its new
	// number.
	takeNumber func(tx *gorm.DB, step int64) (int64, error)
	// tx is how a transaction begins.
	tx *sql.TxOptions
	// ping is a statement that reaches the database; empty where the driver
	// has a better way.
	ping string
	// tableExists counts the tables that have the name given as parameter.
	tableExists string
	// standing and standingOfGrant are the statements of Store.Standing.
	standing, standingOfGrant string
	// history is the statement of Store.History.
	history string
	// countGuess adds one to a subject's count and returns its row, see
	// Store.CountGuess.
	countGuess func(db *gorm.DB, subject string, now, since int64) ([]guessRow, error)
	// now is the time by the clock of the database, in milliseconds.
	now string
}

// Open connects to the database that url names:
//
//	sqlite:PATH                                 the folder must exist; the file is made, unless o.Existing
//	postgres://user:password@host:port/name?…   parameters as pgx takes them
//	mysql://user:password@host:port/name?…      see openMySQL for the parameters
//
// It neither creates nor checks a schema: see Migrate and CheckSchema. It fails
// when the database cannot be reached; after that the Store recovers by itself
// from whatever happens to the database. No error contains the password.
func Open(ctx context.Context, url string, o Options) (*Store, error) {
	if o.MaxOpen <= 0 {
		o.MaxOpen = 16
	}
	if o.MaxIdle <= 0 {
		o.MaxIdle = o.MaxOpen
	}
	if o.MaxLifetime <= 0 {
		o.MaxLifetime = 30 * time.Minute
	}
	history, wrap := &served{provenFor: cmp.Or(o.provenFor, provenFor)}, o.Wrap
	o.history = history
	o.Wrap = func(c driver.Connector) driver.Connector {
		if wrap != nil {
			c = wrap(c)
		}
		return judging{c, history}
	}

	scheme, _, _ := strings.Cut(url, ":")
	open, ok := map[string]func(context.Context, string, Options) (*Store, error){
		"sqlite":     openSQLite,
		"postgres":   openPostgres,
		"postgresql": openPostgres,
		"mysql":      openMySQL,
	}[scheme]
	if !ok {
		return nil, errors.New("the database URL must begin with sqlite:, postgres:// or mysql://")
	}
	s, err := open(ctx, url, o)
	if err != nil {
		return nil, err
	}
	s.served, history.question = history, s.dialect.history
	if err := s.prepare(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) prepare(ctx context.Context, o Options) (err error) {
	if s.schema = o.schema; s.schema == nil {
		if s.schema, err = migrations.FS(string(s.dialect.engine)); err != nil {
			return err
		}
	}
	s.keysAtOnce = keysAtOnce
	if s.latest, err = migrations.Latest(s.schema); err != nil {
		return err
	}
	s.ownGuess = "written by " + rand.Text()
	of := sharesOf(o.MaxOpen)
	s.statements, s.changing, s.uncounting = newSlots(of.statements), newSlots(of.changes), newSlots(max(of.statements/3, 1))
	if err := s.Ping(ctx); err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	return nil
}

// pool opens a pool of some connections over c, within the bounds of o.
func pool(c driver.Connector, connections int, o Options) *sql.DB {
	p := sql.OpenDB(c)
	p.SetMaxOpenConns(connections)
	p.SetMaxIdleConns(o.MaxIdle)
	p.SetConnMaxLifetime(o.MaxLifetime)
	return p
}

// overPool puts gorm on a pool.
//
// gorm's own cache of prepared statements stays off. The drivers cache them
// better, each connection its own; gorm's runs a goroutine that nothing stops,
// prepares twice inside a transaction, and hands out a *sql.Row that panics
// when preparing fails, which is exactly when the database is away.
func overPool(d gorm.Dialector) (*gorm.DB, error) {
	return gorm.Open(d, &gorm.Config{
		// Each of our writes is either one statement or in our own transaction.
		SkipDefaultTransaction: true,
		TranslateError:         true,
		// Name the columns in a SELECT: an older binary may meet a table that
		// has more of them.
		QueryFields:          true,
		DisableAutomaticPing: true,
		// gorm would log statements with their parameters.
		Logger: logger.Discard,
	})
}

// Engine returns which engine the Store is on.
func (s *Store) Engine() Engine { return s.dialect.engine }

// Ping asks the database for a sign of life.
func (s *Store) Ping(ctx context.Context) error {
	if s.dialect.ping == "" {
		return fault("ping", s.watchPool.PingContext(ctx))
	}
	var ignored any
	return fault("ping", s.watchPool.QueryRowContext(ctx, s.dialect.ping).Scan(&ignored))
}

// Clock returns the time by the clock of the database.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	var now int64
	err := s.readPool.QueryRowContext(ctx, "SELECT "+s.dialect.now).Scan(&now)
	return at(now), fault("read the clock", err)
}

// Close closes all connections, after waiting for the statements under way.
func (s *Store) Close() error {
	var errs []error
	// On SQLite the writer closes last: the last connection to close brings the
	// write-ahead log into the file, which a reader may not.
	for _, p := range s.pools() {
		errs = append(errs, p.Close())
	}
	if s.held != nil {
		errs = append(errs, s.held.Close())
		s.held = nil
	}
	return fault("close", errors.Join(errs...))
}
