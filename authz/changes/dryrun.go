package changes

import "context"

type dryRunKey struct{}

// DryRun returns a context in which a change is made and taken back: it is checked by all
// rules, those of the database too, and nothing of it stays.
func DryRun(ctx context.Context) context.Context {
	return context.WithValue(ctx, dryRunKey{}, true)
}

// IsDryRun reports whether changes in this context are taken back.
func IsDryRun(ctx context.Context) bool {
	dry, _ := ctx.Value(dryRunKey{}).(bool)
	return dry
}
