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
	tables: "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
	bytes: `SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables
	         WHERE table_schema = DATABASE()`,
	history:    historySQL,
	countGuess: countGuessMySQL,
	now:        "CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
}

// mysqlParameters are the parameters that a mysql:// URL may have; their meaning is
// that of the driver (github.com/go-sql-driver/mysql). All others are set here, because
// the statements rely on them.
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
	// Altering a table may take long before there is an answer, and giving up the wait
	// would not undo it.
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
		// Shorter than the wait_timeout of mysqlConfig, so that the server never closes
		// a connection that the pool is about to use.
		p.SetConnMaxIdleTime(time.Minute)
	}
	err = s.overPools(func(p *sql.DB) gorm.Dialector {
		return mysql.New(mysql.Config{
			Conn: p,
			// gorm would ask for the server's version, without a deadline, and needs it
			// for nothing that is used here.
			SkipInitializeWithVersion: true,
		})
	})
	if err != nil {
		return nil, errors.Join(fault("open", err), s.Close())
	}
	return s, nil
}

// seconds formats a duration as MySQL's variables expect it.
func seconds(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) }

// mysqlConfig turns a URL into the driver's configuration. Its errors name parameters
// and never their values: the password may be part of what cannot be parsed.
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
	// For goose, which reads the time of each migration. No table of ours has a
	// DATETIME.
	cfg.ParseTime = true
	// The driver inserts the quoted parameters into the statement itself, which saves
	// the round trips of preparing and closing it. This is safe with utf8mb4, where no
	// multi-byte character contains a quote or a backslash.
	cfg.InterpolateParams = true
	// Treat a server that has become read-only (errors 1290, 1792, 1836), as a demoted
	// primary does, as a bad connection. A new connection finds the new primary;
	// otherwise the pool would keep the old ones for half an hour.
	cfg.RejectReadOnly = true
	// Count a row as affected only if it changed, not whenever it matched.
	cfg.ClientFoundRows = false
	if err := cfg.Apply(mysqldriver.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, err
	}
	cfg.Params = map[string]string{
		// Refuse a value that does not fit, instead of truncating it.
		"sql_mode":  "'TRADITIONAL'",
		"time_zone": "'+00:00'",
		// These bound how long a client machine that disappeared in the middle of a
		// change can block everyone else. They also bound how long an abandoned
		// statement goes on waiting: the driver closes its connection when the request
		// ends, and the server does not notice. The first is for row locks, the second
		// for table locks, whose default is a day.
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
	// The driver returns every error that it would log.
	cfg.Logger = &mysqldriver.NopLogger{}
	return cfg, nil
}

func portOr(port, otherwise string) string {
	if port == "" {
		return otherwise
	}
	return port
}

// mysqlConnector sets up each new connection: its isolation level and, on a node of a
// Galera cluster, that it reads what any node has committed.
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
	// MariaDB calls the variable tx_isolation and MySQL transaction_isolation; both
	// understand this statement.
	if _, err := exec(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil); err != nil {
		return err
	}
	galera, err := galeraVariables(ctx, conn)
	if err != nil || galera["wsrep_on"] != "ON" {
		return err
	}
	// Keep what the operator has set, which is a string of digits.
	set := fmt.Sprintf("SET SESSION wsrep_sync_wait = %d | %s", syncWait, cmp.Or(galera["wsrep_sync_wait"], "0"))
	if galera["wsrep_dirty_reads"] == "ON" {
		// Otherwise a node that was cut off from the cluster answers with its old data.
		set += ", SESSION wsrep_dirty_reads = OFF"
	}
	if _, err := exec(ctx, set, nil); err != nil {
		return unsynced{err}
	}
	return nil
}

// syncWait makes a node of a Galera cluster wait before it reads (1), updates or
// deletes (2), or inserts (4), until it has applied what other nodes had committed by
// then. Without it a node that lags behind would accept what was already revoked. All
// three are needed, because each kind of statement checks for cuts itself.
const syncWait = 1 | 2 | 4

// galeraVariables returns the variables of a Galera cluster that matter here, or none
// if the server is not built for Galera.
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

// unsynced is the error of a Galera node that cannot be made to read what other nodes
// have committed.
type unsynced struct{ error }

func (e unsynced) Error() string {
	return "this node of a Galera cluster refuses to wait for what other nodes have committed (wsrep_sync_wait), and would show what was revoked as standing: " + describe(e.error)
}

func (e unsynced) Unwrap() error { return e.error }

// takeNumberMySQL is takeNumber for MySQL, which has no RETURNING: LAST_INSERT_ID(expr)
// sends the number back with the answer to the UPDATE.
func takeNumberMySQL(tx *gorm.DB, step int64) (int64, error) {
	r, err := tx.Statement.ConnPool.ExecContext(tx.Statement.Context,
		"UPDATE change_seq SET n = LAST_INSERT_ID(n + ?) WHERE id = 1", step)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// countGuessMySQL is countGuess for MySQL. It reads the count inside the transaction
// that wrote it: a moment later another window may have begun.
func countGuessMySQL(db *gorm.DB, subject string, now, since int64) (rows []guessRow, err error) {
	err = db.Transaction(func(tx *gorm.DB) error {
		// MySQL evaluates assignments from left to right: n uses the old since_ms.
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
