package administration

import (
	"context"
	"time"
)

// Mark says that a record was made, or changed, to what a file says.
type Mark struct {
	// Kind and ID are as in a Step.
	Kind, ID string
	// Version is what was written then.
	Version string
	// CreatedAt is when the record was made: another one by that name is not marked.
	CreatedAt time.Time
}

// Marks keeps marks, and makes all changes of an application one transaction;
// *storage.Store does.
type Marks interface {
	Together
	// Applied returns all marks.
	Applied(ctx context.Context) ([]Mark, error)
	// MarkApplied stores a mark in place of a former one of that record. One without a
	// version only takes the former one away.
	MarkApplied(ctx context.Context, m Mark) error
}

// marks are those that there are, by kind and id.
type marks map[[2]string]Mark

func readMarks(ctx context.Context, from Marks) (marks, error) {
	list, err := from.Applied(ctx)
	all := marks{}
	for _, m := range list {
		all[[2]string{m.Kind, m.ID}] = m
	}
	return all, err
}

// of returns the mark of a record that was made at that time.
func (m marks) of(kind, id string, created time.Time) (Mark, bool) {
	mark, ok := m[[2]string{kind, id}]
	return mark, ok && mark.CreatedAt.UnixMilli() == created.UnixMilli()
}

// another reports whether the mark by that name is of another record than the one that was
// made at that time.
func (m marks) another(kind, id string, created time.Time) bool {
	_, marked := m[[2]string{kind, id}]
	_, same := m.of(kind, id, created)
	return marked && !same
}

// drifted reports whether somebody has changed a record since a file made it.
func (m marks) drifted(kind, id string, created time.Time, version string) bool {
	mark, ok := m.of(kind, id, created)
	return ok && mark.Version != version
}
