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
	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/migrations"
)

var (
	_ catalog.Store      = (*Store)(nil)
	_ audit.Store        = (*Store)(nil)
	_ chain.Store        = (*Store)(nil)
	_ changes.Store      = (*Store)(nil)
	_ clients.Store      = (*Store)(nil)
	_ revocation.Store   = (*Store)(nil)
	_ grants.Store       = (*Store)(nil)
	_ grants.SearchStore = (*Store)(nil)

	_ lists.Store            = (*Store)(nil)
	_ indices.Store          = (*Store)(nil)
	_ listeners.Store        = (*Store)(nil)
	_ listeners.Acknowledged = (*Store)(nil)

	_ accounts.Store = (*Store)(nil)
	_ sessions.Store = (*Store)(nil)
	_ consents.Store = (*Store)(nil)
	_ throttle.Store = (*Store)(nil)
	_ keys.Store     = (*Store)(nil)
)

// Engine names a database engine.
type Engine string

// The supported engines. MySQL stands for MariaDB too.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
	MySQL      Engine = "mysql"
)

// Options say how a Store is opened, above all how many connections it may have. Zero
// means the default.
type Options struct {
	// MaxOpen is the greatest number of connections; default 16, minimum 3. How they
	// are divided is written at shares. On SQLite it counts the readers; there is one
	// writer beside them.
	MaxOpen int
	// MaxIdle is how many connections stay open unused; default MaxOpen.
	MaxIdle int
	// MaxLifetime is after how long a connection is replaced, so that a new address or
	// new credentials take effect; default 30 minutes.
	MaxLifetime time.Duration

	// Existing makes Open fail with ErrNoDatabase if a SQLite file does not exist,
	// instead of creating it.
	Existing bool

	// Serving keeps a SQLite database from being restored while the Store is open,
	// because a server has copies of its records in memory.
	Serving bool
	// Restoring makes Open fail with ErrServing if a server is running on a SQLite
	// database, and keeps servers away while the Store is open.
	Restoring bool

	// Wrap, if set, wraps the driver: to count what reaches it, or to make it fail.
	Wrap func(driver.Connector) driver.Connector

	// Tests set schema, to act as an older or a newer binary, and provenFor, to wait
	// less.
	schema    fs.FS
	provenFor time.Duration

	// history is the one that all connections must lead to.
	history *served
}

// ErrNoDatabase says that the file of a SQLite database does not exist.
var ErrNoDatabase = errors.New("there is no database")

// Store is one database, behind the interfaces of all packages that store something.
// Its methods are safe for concurrent use.
type Store struct {
	dialect dialect
	// On SQLite, write has one connection and read cannot write; elsewhere the two are
	// the same. watching is for what the server itself has to know: polls of the
	// changes and readiness.
	read, write, watching          *gorm.DB
	readPool, writePool, watchPool *sql.DB
	// frequent are statements that are made once.
	frequent frequent
	// ownGuess is the subject of the row that TryWriting writes.
	ownGuess string
	// statements and changing are the shares of single statements that write and of
	// transactions.
	statements, changing *slots
	// groups is nil except on SQLite.
	groups *groups
	// uncounting is the share of UncountGuesses, which says why it has one.
	uncounting *slots
	// connector opens further connections, for migrations.
	connector driver.Connector
	served    *served
	// file is the path of a SQLite database, reader the URI for reading it, and held
	// the lock that keeps restores away from it.
	file, reader string
	held         *os.File
	// logSeen and logInFile belong to Settle: the state of the write-ahead log at its
	// last call, and whether all of the log was in the database file by then.
	logSeen   logState
	logInFile bool
	schema    fs.FS
	// pooler is nil except on PostgreSQL.
	pooler *pooler
	// latest is the schema version that this binary was built for.
	latest int64
	// keysAtOnce is the constant of that name; tests set a smaller one.
	keysAtOnce int
}

// dialect is what differs between the engines, apart from the drivers' errors.
type dialect struct {
	engine Engine
	// takeNumber raises the change sequence by a step and returns its new
	// number.
	takeNumber func(tx *gorm.DB, step int64) (int64, error)
	// tx are the options that each transaction begins with.
	tx *sql.TxOptions
	// ping is a statement that reaches the database; empty if the driver has a better
	// way.
	ping string
	// tableExists counts the tables with the name that is its parameter.
	tableExists string
	// tables and bytes are the statements of Store.Size: the names of all tables, and how
	// much room they take.
	tables, bytes string
	// history is the statement of Store.History.
	history string
	// countGuess is the statement of Store.CountGuess: it adds one to a subject's count
	// and returns the row.
	countGuess func(db *gorm.DB, subject string, now, since int64) ([]guessRow, error)
	// now is the SQL expression for the time of the database's clock, in milliseconds.
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
	s.frequent = s.frequentStatements()
	s.ownGuess = "written by " + rand.Text()
	of := sharesOf(o.MaxOpen)
	s.statements, s.changing, s.uncounting = newSlots(of.statements), newSlots(of.changes), newSlots(max(of.statements/3, 1))
	if s.dialect.engine == SQLite {
		// One connection writes, however many wait.
		s.groups, s.statements = &groups{db: s.write}, newSlots(2*mostTogether)
	}
	if err := s.Ping(ctx); err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	return nil
}

// pool opens a connection pool over c, with at most the given number of connections.
func pool(c driver.Connector, connections int, o Options) *sql.DB {
	p := sql.OpenDB(c)
	p.SetMaxOpenConns(connections)
	p.SetMaxIdleConns(o.MaxIdle)
	p.SetConnMaxLifetime(o.MaxLifetime)
	return p
}

// overPool makes a gorm.DB that uses a pool.
//
// gorm's own cache of prepared statements stays off. The drivers cache them better,
// each connection for itself. gorm's cache starts a goroutine that nothing stops,
// prepares twice inside a transaction, and returns a *sql.Row that panics if preparing
// fails, which happens exactly when the database is away.
func overPool(d gorm.Dialector) (*gorm.DB, error) {
	return gorm.Open(d, &gorm.Config{
		// Each write here is either one statement or in a transaction that we begin.
		SkipDefaultTransaction: true,
		TranslateError:         true,
		// Name the columns in a SELECT: a table may have more of them than this binary
		// knows.
		QueryFields:          true,
		DisableAutomaticPing: true,
		// gorm would log statements with their parameters, which may be secret.
		Logger: logger.Discard,
	})
}

// Engine returns the engine that the Store uses.
func (s *Store) Engine() Engine { return s.dialect.engine }

// Ping checks that the database answers.
func (s *Store) Ping(ctx context.Context) error {
	if s.dialect.ping == "" {
		return fault("ping", s.watchPool.PingContext(ctx))
	}
	var ignored any
	return fault("ping", s.watchPool.QueryRowContext(ctx, s.dialect.ping).Scan(&ignored))
}

// Clock returns the time of the database's clock.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	var now int64
	err := s.readPool.QueryRowContext(ctx, "SELECT "+s.dialect.now).Scan(&now)
	return at(now), fault("read the clock", err)
}

// Close closes all connections, after waiting for the statements in progress.
func (s *Store) Close() error {
	var errs []error
	if s.groups != nil {
		s.groups.close()
	}
	// On SQLite the writer closes last: the last connection to close copies the
	// write-ahead log into the database file, which a reader may not do.
	for _, p := range s.pools() {
		errs = append(errs, p.Close())
	}
	if s.held != nil {
		errs = append(errs, s.held.Close())
		s.held = nil
	}
	return fault("close", errors.Join(errs...))
}
