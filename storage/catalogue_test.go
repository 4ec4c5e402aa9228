package storage_test

import (
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorm.io/gorm/schema"

	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// column is a column as the engine's catalogue describes it.
type column struct {
	Type     string
	Nullable bool
	Primary  bool
	// Bytewise says that values are compared byte by byte.
	Bytewise bool
}

// catalogues are queries that return table, column, type, nullable, primary, bytewise.
var catalogues = map[storage.Engine]string{
	storage.SQLite: `
		SELECT t.name, c.name, lower(c.type), c."notnull" = 0, c.pk > 0, 1
		  FROM sqlite_master AS t, pragma_table_info(t.name) AS c
		 WHERE t.type = 'table'`,
	storage.PostgreSQL: `
		SELECT c.table_name, c.column_name, c.data_type, c.is_nullable = 'YES',
		       EXISTS (SELECT 1
		                 FROM information_schema.table_constraints AS t
		                 JOIN information_schema.key_column_usage AS k USING (constraint_schema, constraint_name)
		                WHERE t.constraint_type = 'PRIMARY KEY' AND t.table_schema = c.table_schema
		                  AND t.table_name = c.table_name AND k.column_name = c.column_name),
		       c.data_type <> 'text' OR COALESCE(c.collation_name, '') = 'C'
		  FROM information_schema.columns AS c
		 WHERE c.table_schema = current_schema()`,
	storage.MySQL: `
		SELECT table_name, column_name, data_type, is_nullable = 'YES', column_key = 'PRI',
		       data_type NOT LIKE '%text' AND data_type NOT LIKE '%char'
		  FROM information_schema.columns
		 WHERE table_schema = DATABASE()`,
}

// columnTypes are the types that a field of a row may have in a database.
var columnTypes = map[storage.Engine]map[reflect.Type][]string{
	storage.SQLite: {
		reflect.TypeFor[int64](): {"integer"}, reflect.TypeFor[bool](): {"integer"},
		reflect.TypeFor[string](): {"text"}, reflect.TypeFor[[]byte](): {"blob"},
	},
	storage.PostgreSQL: {
		reflect.TypeFor[int64](): {"bigint"}, reflect.TypeFor[bool](): {"boolean"},
		reflect.TypeFor[string](): {"text"}, reflect.TypeFor[[]byte](): {"bytea"},
	},
	storage.MySQL: {
		reflect.TypeFor[int64](): {"bigint"}, reflect.TypeFor[bool](): {"tinyint"},
		reflect.TypeFor[string](): {"varbinary", "text", "mediumtext"}, reflect.TypeFor[[]byte](): {"varbinary", "blob"},
	},
}

// prose are columns that are never searched or sorted, so any collation will do.
var prose = []string{"name", "grants", "redirect_uris", "scopes", "reason", "details",
	"roles", "claims", "email", "password", "amr", "acr", "address", "user_agent", "redirect_uri", "audiences", "nonce", "revoked_why", "options", "permissions"}

func TestTheCatalogueIsWhatTheRowsAre(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		got := catalogue(t, storagetest.New(t, e))
		want := storage.Rows()
		for table := range got {
			if _, ok := want[table]; !ok {
				t.Errorf("no row struct for table %s", table)
			}
		}
		for table, row := range want {
			s, err := schema.Parse(row, &sync.Map{}, schema.NamingStrategy{})
			if err != nil {
				t.Fatal(err)
			}
			columns := got[table]
			for name := range columns {
				if s.LookUpField(name) == nil {
					t.Errorf("%s.%s is in no row struct", table, name)
				}
			}
			for _, f := range s.Fields {
				c, ok := columns[f.DBName]
				if !ok {
					t.Errorf("%s.%s is not in the database", table, f.DBName)
					continue
				}
				typ := f.FieldType
				if typ.Kind() == reflect.Pointer {
					typ = typ.Elem()
				}
				if allowed := columnTypes[e.Kind][typ]; !slices.Contains(allowed, c.Type) {
					t.Errorf("%s.%s is %s, not one of %v", table, f.DBName, c.Type, allowed)
				}
				want := column{
					Type:     c.Type,
					Nullable: !f.NotNull && !f.PrimaryKey,
					Primary:  f.PrimaryKey,
					Bytewise: c.Bytewise || !slices.Contains(prose, f.DBName),
				}
				if diff := cmp.Diff(want, c); diff != "" {
					t.Errorf("%s.%s: -struct +database:\n%s", table, f.DBName, diff)
				}
			}
		}
	})
}

// catalogue reads the columns of the tables of this project.
func catalogue(t *testing.T, s *storage.Store) map[string]map[string]column {
	t.Helper()
	rows, err := storage.Pool(s).QueryContext(t.Context(), catalogues[s.Engine()])
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	tables := map[string]map[string]column{}
	for rows.Next() {
		var table, name string
		var c column
		if err := rows.Scan(&table, &name, &c.Type, &c.Nullable, &c.Primary, &c.Bytewise); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(table, "goose_") || strings.HasPrefix(table, "sqlite_") {
			continue
		}
		if tables[table] == nil {
			tables[table] = map[string]column{}
		}
		tables[table][name] = c
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return tables
}
