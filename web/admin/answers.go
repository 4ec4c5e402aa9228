package admin

import "time"

// instant writes a time for programs; nil for the zero time.
func instant(at time.Time) *string {
	if at.IsZero() {
		return nil
	}
	s := at.UTC().Format("2006-01-02T15:04:05.000Z")
	return &s
}

// all copies a list, so that an empty one is [] in JSON and not null.
func all(list []string) []string { return append([]string{}, list...) }
