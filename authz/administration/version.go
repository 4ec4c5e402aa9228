package administration

// Any is the version of whoever wants to make a change whatever the record is by now.
const Any = "*"

// Unchanged returns ErrStale unless a record still has the version that the caller knows.
// It belongs into the transaction that makes the change: of two editors who have read the
// same version, the second is told, and nothing is lost.
func Unchanged(has, known string) error {
	if known == Any || known == has {
		return nil
	}
	return ErrStale
}
