package storage

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	neturl "net/url"
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
	inner, err := mysqldriver.NewConnector(cfg)
	if err != nil {
		return nil, errors.New("the mysql URL cannot be used; check its parameters")
	}
	c := o.Wrap(mysqlConnector{inner})
	p := pool(c, o)
	// Below the wait_timeout of mysqlConfig, so that the server never closes
	// one that the pool is about to use.
	p.SetConnMaxIdleTime(time.Minute)
	s := &Store{dialect: mysqlDialect, connector: c, readPool: p, writePool: p}
	s.write, err = overPool(mysql.New(mysql.Config{
		Conn: p,
		// gorm would ask for the version without a deadline, and wants it for
		// nothing that is used here.
		SkipInitializeWithVersion: true,
	}))
	if err != nil {
		return nil, errors.Join(fault("open", err), s.Close())
	}
	s.read = s.write
	return s, nil
}

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
		// can hold up everyone else's.
		"innodb_lock_wait_timeout": "10",
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

// mysqlConnector sets the isolation level of each new connection. The variable
// for it is called tx_isolation by MariaDB and transaction_isolation by MySQL;
// this statement is understood by both.
type mysqlConnector struct{ driver.Connector }

func (c mysqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	_, err = conn.(driver.ExecerContext).ExecContext(ctx, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", nil)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

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
