package administration

// ThereError: what was to be created is there already, under that id.
type ThereError struct {
	error
	// Kind is KindAPI, KindClient or KindUser.
	Kind, ID string
}

// KindUser is the kind of a user, of whom files only know administrators.
const KindUser = "user"

// Unwrap returns the error of the concern.
func (e *ThereError) Unwrap() error { return e.error }
