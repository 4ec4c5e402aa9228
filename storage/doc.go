// Package storage stores what the other packages decided, in SQLite, PostgreSQL or
// MySQL/MariaDB. One Store implements the Store interfaces that the other packages
// declare, and behaves the same on each engine; package storagetest is the suite that
// checks this.
//
//	a change → number ← change_seq (stays locked) → the work → changes, audit_events → commit
//	a read   → one statement, so that what it returns was true at one moment
//	serve, migrate up → Migrate → package migrations, one process at a time
//	serve, every minute → Purge; every 5 s → TryWriting
//
// The first statement of every change raises change_seq, which locks its row. So
// changes run one after the other, and no two of them can deadlock. Nevertheless the
// WHERE of each statement repeats the condition under which it applies, the number of
// affected rows says whether it did, and foreign keys enforce what they can: no write
// relies on an earlier read alone.
//
// Two words come up everywhere. A cut is a revocation: of a token, a client, a user, or
// everything (package revocation). A record stands if it gives access now: it has not
// expired, and no cut has reached it or its owners.
//
// A refusal that an interface names is returned as the error that the interface names.
// Everything else is a Fault: the database did not do what it was asked, or did not say
// whether it did. A Fault is never a success and never a "no".
//
// The package owns columns, statements, engines and connection pools. It decides
// nothing about clients, keys or tokens, keeps no copy of a record, takes each time
// that it stores from its caller, and shows gorm to no other package.
package storage
