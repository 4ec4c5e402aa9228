package administration

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

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

// Difference is one member of a record, before and after, by the name that it has in files
// and at the admin API.
type Difference struct {
	Member       string
	Former, Next json.RawMessage
}

// Version is the same only for the same steps from the same records. Who has seen a plan
// sends it along, so that what was planned is what is done.
func (p Plan) Version() string {
	facts := map[string]string{}
	for _, s := range p.Steps {
		of := s.Kind + " " + s.ID
		facts[of] = s.Action + " " + s.before
		for _, d := range s.Changes {
			facts[of+" "+d.Member] = string(d.Next)
		}
	}
	return changes.Version(facts)
}

// differences compares two values of one type with all their settings.
func differences(was, is any) (list []Difference, err error) {
	former, err := membersOf(was)
	if err != nil {
		return nil, err
	}
	next, err := membersOf(is)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(next)) {
		if !bytes.Equal(former[name], next[name]) {
			list = append(list, Difference{name, former[name], next[name]})
		}
	}
	return list, nil
}

// membersOf returns the members of settings as they are written in JSON, null for what is
// empty.
func membersOf(settings any) (members map[string]json.RawMessage, err error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // they are for people
	if err := e.Encode(settings); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b.Bytes(), &members); err != nil {
		return nil, err
	}
	for name, value := range members {
		switch string(value) {
		case "[]", "{}", `""`:
			members[name] = json.RawMessage("null")
		}
	}
	return members, nil
}

// textOf is a text as it is written in JSON.
func textOf(text string) json.RawMessage {
	b, _ := json.Marshal(text) // every text can be written
	return b
}
