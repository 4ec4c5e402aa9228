// Package storage keeps what the other packages decided in SQLite, PostgreSQL
// or MySQL/MariaDB. One Store implements the Store interfaces of packages apis,
// clients, audit, changes, revocation and keys, and means the same on each
// engine; package storagetest is the suite that holds it to that.
//
//	a change → number ← change_seq (stays locked) → the work → changes, audit_events → commit
//	a read   → one statement, so that what it returns was true at one moment
//	serve, migrate up → Migrate → package migrations, one process at a time
//	serve, every minute → Purge; every 5 s → TryWriting
//
// Raising change_seq is the first statement of every change, so changes happen
// one by one and no two can deadlock. Still the WHERE of each statement says
// under what condition it applies and the affected rows say whether it did, and
// foreign keys hold what they can: nothing rests on an earlier read alone.
//
// A refusal that a contract names is that contract's error. Everything else is
// a Fault: the database did not do what it was asked, or did not say whether it
// did. A Fault is never a success and never a "no".
//
// The package owns columns, statements, engines and pools. It decides nothing
// about clients, keys or tokens, holds no copy of a record, takes each time that
// it stores from its caller, and shows gorm to nobody.
package storage
