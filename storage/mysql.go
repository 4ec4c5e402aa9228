package storage

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	neturl "net/url"
	"strconv"
	"strings"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/gorm"
)

var mysqlDialect = dialect{
	engine:     MySQL,
	takeNumber: takeNumberMySQL,
	tableExists: `SELECT COUNT(*) FROM information_schema.tables
	               WHERE table_schema = DATABASE() AND table_name = ?`,
	history:         fmt.Sprintf(historySQL, "?"),
	standing:        fmt.Sprintf(standingSQL("?", "?", "?", "?"), ""),
	standingOfGrant: fmt.Sprintf(standingSQL("?", "?", "?", "?"), fmt.Sprintf(grantStanding, "?", "?")),
	countGuess:      countGuessMySQL,
	now:             "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
}

// mysqlParameters are the parameters that a mysql:// URL may have, with the
// meanings that the driver gives them (github.com/go-sql-driver/mysql). The
// others are for us to set: what the statements mean hangs on them.
var mysqlParameters = map[string]bool{
	"tls":                     true,
	"timeout":                 true,
	"readTimeout":             true,
	"writeTimeout":            true,
	"maxAllowedPacket":        true,
	"allowCleartextPasswords": true,
}

func openMySQL(_ context.Context, url string, o Options) (*Store, error) {
	cfg, err := mysqlConfig(url)
	if err != nil {
		return nil, err
	}
	// Changing a table may take long before there is an answer, and is not undone if
	// nobody waits for it.
	patient := cfg.Clone()
	patient.ReadTimeout = 0
	patient.Params["innodb_lock_wait_timeout"] = seconds(migrationLockWait)
	patient.Params["lock_wait_timeout"] = seconds(migrationLockWait)
	var connectors [2]driver.Connector
	for i, cfg := range []*mysqldriver.Config{cfg, patient} {
		inner, err := mysqldriver.NewConnector(cfg)
		if err != nil {
			return nil, errors.New("the mysql URL cannot be used; check its parameters")
		}
		connectors[i] = o.Wrap(mysqlConnector{inner})
	}
	c, of := connectors[0], sharesOf(o.MaxOpen)
	p := pool(c, of.requests, o)
	s := &Store{dialect: mysqlDialect, readPool: p, writePool: p, watchPool: pool(c, of.watching, o), connector: connectors[1]}
	for _, p := range s.pools() {
		// Below the wait_timeout of mysqlConfig, so that the server never closes
		// one that the pool is about to use.
		p.SetConnMaxIdleTime(time.Minute)
	}
	err = s.overPools(func(p *sql.DB) gorm.Dialector {
		return mysql.New(mysql.Config{
			Conn: p,
			// gorm would ask for the version without a deadline, and wants it for
			// nothing that is used here.
			SkipInitializeWithVersion: true,
		})
	})
	if err != nil {
		return nil, errors.Join(fault("open", err), s.Close())
	}
	return s, nil
}

// seconds is how MySQL has times set.
func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// mysqlConfig turns a URL into the driver's configuration. Errors name
// parameters and never values, as the password may be among what cannot be
// parsed.
func mysqlConfig(url string) (*mysqldriver.Config, error) {
	u, err := neturl.Parse(url)
	if err != nil || u.Scheme != "mysql" || u.Host == "" {
		return nil, errors.New("the mysql URL cannot be parsed (mysql://user:password@host:port/name); " +
			"special characters in the password must be percent-encoded")
	}
	name := strings.TrimPrefix(u.Path, "/")
	if name == "" {
		return nil, errors.New("the mysql URL names no database: mysql://user:password@host:port/name")
	}

	cfg := mysqldriver.NewConfig()
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	cfg.Net = "tcp"
	cfg.Addr = net.JoinHostPort(u.Hostname(), portOr(u.Port(), "3306"))
	cfg.DBName = name
	cfg.Timeout = 5 * time.Second
	cfg.ReadTimeout = mostSilence
	cfg.WriteTimeout = mostSilence
	cfg.Loc = time.UTC
	// goose reads when a migration ran; nothing of ours is a DATETIME.
	cfg.ParseTime = true
	// The driver quotes the parameters itself, which saves the round trips of
	// preparing and closing a statement; safe with utf8mb4, where no character
	// ends in a quote or backslash.
	cfg.InterpolateParams = true
	// A server that has become read-only (1290, 1792, 1836), as a primary does that
	// was demoted, means a bad connection: whoever leads now is found by connecting
	// anew, and the pool would keep these for half an hour.
	cfg.RejectReadOnly = true
	// An affected row is one that changed, not one that matched.
	cfg.ClientFoundRows = false
	if err := cfg.Apply(mysqldriver.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, err
	}
	cfg.Params = map[string]string{
		// Refuse what does not fit instead of cutting it off.
		"sql_mode":  "'TRADITIONAL'",
		"time_zone": "'+00:00'",
		// These bound how long a machine that vanished in the middle of a change
		// can hold up everyone else's; and, as the driver closes a connection whose
		// request is over and the server does not notice, for how long a statement
		// goes on waiting for nobody. The one is for rows and the other for tables,
		// which is a day by default.
		"innodb_lock_wait_timeout": seconds(lockWait),
		"lock_wait_timeout":        seconds(lockWait),
		"wait_timeout":             "120",
	}

	dsn := cfg.FormatDSN()
	for key, values := range u.Query() {
		if !mysqlParameters[key] {
			return nil, fmt.Errorf("the mysql URL has a parameter %q, which is not one of tls, timeout, "+
				"readTimeout, writeTimeout, maxAllowedPacket, allowCleartextPasswords", key)
		}
		dsn += "&" + key + "=" + neturl.QueryEscape(values[0])
	}
	cfg, err = mysqldriver.ParseDSN(dsn)
	if err != nil {
		return nil, errors.New("a parameter of the mysql URL has a value that the driver does not take")
	}
	cfg.DialFunc = dial
	// What it would log, it also returns.
	cfg.Logger = &mysqldriver.NopLogger{}
	return cfg, nil
}

func portOr(port, otherwise string) string {
	if port == "" {
		return otherwise
	}
	return port
}

// mysqlConnector sets what each new connection has to be: its isolation level and, on
// a node of a Galera cluster, that it reads what any node has committed.
type mysqlConnector struct{ driver.Connector }

func (c mysqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := settleMySQL(ctx, conn); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func settleMySQL(ctx context.Context, conn driver.Conn) error {
	exec := conn.(driver.ExecerContext).ExecContext
	// The variable for it is called tx_isolation by MariaDB and transaction_isolation by
	// MySQL; this statement is understood by both.
	if _, err := exec(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil); err != nil {
		return err
	}
	galera, err := galeraVariables(ctx, conn)
	if err != nil || galera["wsrep_on"] != "ON" {
		return err
	}
	// Beside what somebody set, a string of digits.
	set := fmt.Sprintf("SET SESSION wsrep_sync_wait = %d | %s", syncWait, cmp.Or(galera["wsrep_sync_wait"], "0"))
	if galera["wsrep_dirty_reads"] == "ON" {
		// A node that was cut off answers from what it had then.
		set += ", SESSION wsrep_dirty_reads = OFF"
	}
	if _, err := exec(ctx, set, nil); err != nil {
		return unsynced{err}
	}
	return nil
}

// syncWait has a node of a Galera cluster wait, before it reads (1), updates or deletes
// (2), or inserts (4), until it has applied what others had committed by then. Without
// it a node that lags behind shows what was revoked as standing, to any of these:
// each looks, in its own statement, at what must not have been cut.
const syncWait = 1 | 2 | 4

// galeraVariables are the variables of a Galera cluster that matter here; none where
// the server knows of no such thing.
func galeraVariables(ctx context.Context, conn driver.Conn) (_ map[string]string, err error) {
	rows, err := conn.(driver.QueryerContext).QueryContext(ctx,
		"SHOW SESSION VARIABLES WHERE Variable_name IN ('wsrep_on', 'wsrep_sync_wait', 'wsrep_dirty_reads')", nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	found := map[string]string{}
	for row := make([]driver.Value, 2); ; {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, err
		}
		var name, value sql.NullString
		if err := errors.Join(name.Scan(row[0]), value.Scan(row[1])); err != nil {
			return nil, err
		}
		found[name.String] = value.String
	}
}

// unsynced is the error of a node of a Galera cluster that cannot be had to read what
// other nodes have committed.
type unsynced struct{ error }

func (e unsynced) Error() string {
	return "this node of a Galera cluster refuses to wait for what other nodes have committed (wsrep_sync_wait), and would show what was revoked as standing: " + describe(e.error)
}

func (e unsynced) Unwrap() error { return e.error }

// takeNumberMySQL has no RETURNING: LAST_INSERT_ID(expr) sends the number back
// with the answer to the UPDATE.
func takeNumberMySQL(tx *gorm.DB, step int64) (int64, error) {
	r, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context,
		"UPDATE change_seq SET n = LAST_INSERT_ID(n + ?) WHERE id = 1", step)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// countGuessMySQL reads the count in the transaction that wrote it: a moment
// later the window may be another.
func countGuessMySQL(db *gorm.DB, subject string, now, since int64) (rows []guessRow, err error) {
	err = db.Transaction(func(tx *gorm.DB) error {
		// MySQL assigns from left to right: n looks at the old since_ms.
		err := tx.Exec(`
			INSERT INTO guesses (subject, since_ms, n) VALUES (?, ?, 1)
			    ON DUPLICATE KEY UPDATE
			       n = CASE WHEN since_ms <= ? THEN 1 ELSE n + 1 END,
			       since_ms = CASE WHEN since_ms <= ? THEN ? ELSE since_ms END`, subject, now, since, since, now).Error
		if err != nil {
			return err
		}
		return tx.Where("subject = ?", subject).Find(&rows).Error
	})
	return rows, err
}
