package administration

import (
	"maps"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/changes"
)

// The kinds of records that files have.
const (
	KindAPI           = "api"
	KindClient        = "client"
	KindAdministrator = "administrator"
)

// What a step of a plan does.
const (
	StepCreate = "create"
	StepChange = "change"
	StepDelete = "delete"
)

// Plan is what brings an installation to what files say.
type Plan struct {
	// Steps are in the order in which they are made. There is none if all is as the files
	// say.
	Steps []Step
}

// Step is what a plan does to one record.
type Step struct {
	// Kind is one of those above.
	Kind string
	ID   string
	// Action is one of those above, too.
	Action string
	// Drift is whether somebody has changed the record since it was made as a file said.
	Drift bool
	// Changes are the members that become different, by name.
	Changes []Difference
	// Secret is one that the step made, since the file names none. It is shown once.
	Secret string
	// before is the version of the record that the step begins with.
	before string
}

// Difference is one member of a record, before and after.
type Difference struct{ Member, Former, Next string }

// Version is the same only for the same steps from the same records. Who has seen a plan
// sends it along, so that what was planned is what is done.
func (p Plan) Version() string {
	facts := map[string]string{}
	for _, s := range p.Steps {
		of := s.Kind + " " + s.ID
		facts[of] = s.Action + " " + s.before
		for _, d := range s.Changes {
			facts[of+" "+d.Member] = d.Next
		}
	}
	return changes.Version(facts)
}

// differences compares the details of a record.
func differences(was, is map[string]string) (list []Difference) {
	names := slices.Collect(maps.Keys(is))
	for name := range was {
		if _, both := is[name]; !both {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, strings.Compare)
	for _, name := range names {
		if was[name] != is[name] {
			list = append(list, Difference{name, was[name], is[name]})
		}
	}
	return list
}
