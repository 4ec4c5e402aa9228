package pages

import (
	"net/url"
	"time"

	"github.com/ingam/ingam/web/pages/texts"
)

// Content is what one page shows: one type for each template. What its fields say
// is text, whoever wrote it, and never markup.
type Content interface {
	form() form
}

// form is what the pages of one template have in common.
type form struct {
	template string
	title    texts.Name
	// wrong is whether the page says that something is not right, which its title
	// says then, too: that is what is read out first.
	wrong bool
	// leads is whether a form of the page may lead to an application: browsers hold
	// every later hop of what answers it to form-action, wherever the application
	// sends the person on to, and there is no way to write some addresses there.
	leads bool
	// private is whether the page's address holds what nobody else is to see: then
	// no request says where it comes from. Such a page has no forms.
	private bool
}

// Login asks for a user name and a password.
type Login struct {
	// Client is the application that the person signs in to; may be empty.
	Client string
	// Then is where they go afterwards.
	Then     string
	Username string
	// Problem is what was not right; Wait is for how long no attempt is heard.
	Problem texts.Name
	Wait    time.Duration
}

func (l Login) form() form {
	return form{template: "login", title: "sign in", wrong: l.Problem != "", leads: true}
}

// Consent asks whether an application may have what it asks for.
type Consent struct {
	Client string
	// Since is when the application was registered.
	Since time.Time
	// Host is where the person returns to.
	Host     string
	Username string
	// Request and Session come back with the answer.
	Request, Session string
	Permissions      []Permission
}

// Permission is something that an application may do.
type Permission struct {
	Text string
	// Whose says what it is of, and API names the API that it is of; both may be
	// empty.
	Whose, API string
}

func (Consent) form() form { return form{template: "consent", title: "consent", leads: true} }

// Logout asks whether to sign out; without a Username it says that it is done.
type Logout struct {
	Username string
	// Request comes back with the answer.
	Request string
	// NoReturn is why there is no way back to the application.
	NoReturn texts.Name
}

func (l Logout) form() form {
	if l.Username == "" {
		return form{template: "logout", title: "signed out", leads: true}
	}
	return form{template: "logout", title: "sign out", leads: true}
}

// Post passes fields on, by itself if the browser runs scripts.
type Post struct {
	Action string
	Fields url.Values
}

func (Post) form() form { return form{template: "post", title: "passing on", leads: true} }

// Account is what a person sees of their own.
type Account struct {
	// Matter is what the page is about, if that is one thing alone.
	Matter   Matter
	Person   Person
	Sessions []Session
	// SessionCount and AppCount are how many there are, which may be more than are
	// shown.
	SessionCount int
	Apps         []App
	AppCount     int
	Outcome      Outcome
	// Shortest and Longest are how many characters a password has.
	Shortest, Longest int
}

// Matter is a part of the account.
type Matter string

// The matters there are; the empty one is all of them.
const (
	EveryMatter    Matter = ""
	SessionMatter  Matter = "sessions"
	AppMatter      Matter = "apps"
	PasswordMatter Matter = "password"
)

// Person is who is signed in.
type Person struct {
	Name, Username, Email string
	// Picture is an address of this origin; may be empty.
	Picture string
	// Initial stands where there is none.
	Initial string
}

// Session is a place where a person is signed in.
type Session struct {
	ID, Browser, Address string
	// App is the application that began it; empty for the sign-in page.
	App         string
	Since, Seen time.Time
	Here        bool
}

// App is an application that has access.
type App struct {
	ID, Name string
	// Home is the host by which it is known; may be empty.
	Home            string
	Since, LastUsed time.Time
	Disabled        bool
	Permissions     []Permission
}

// Outcome is what became of a form of the account, and stands beside it.
type Outcome struct {
	Of   Matter
	Text texts.Name
	// Field is the one that was not right; empty if all went well.
	Field string
	// Count is of how many things Text speaks.
	Count int
	// Wait is for how long no attempt is heard.
	Wait time.Duration
}

func (a Account) form() form {
	title := texts.Name("account")
	switch a.Matter {
	case SessionMatter:
		title = "sessions"
	case AppMatter:
		title = "apps"
	case PasswordMatter:
		title = "change password"
	}
	return form{template: "account", title: title, wrong: a.Outcome.Field != ""}
}

// Home says what this is, to whoever opens the address of the server.
type Home struct{}

func (Home) form() form { return form{template: "home", title: "home"} }

// Demo is the app of a demonstration, before somebody signed in to it and after.
type Demo struct {
	// Problem is why nobody was signed in; may be empty.
	Problem string
	// Logout is where whoever is signed in signs out; else it is empty.
	Logout string
	// ID, Access and Refresh are the tokens that the app got.
	ID, Access, Refresh Token
}

// Token is what a token says, for a person to read.
type Token struct{ Header, Claims string }

func (d Demo) form() form {
	title := texts.Name("demo")
	if d.Logout != "" {
		title = "demo signed in"
	}
	return form{template: "demo", title: title, wrong: d.Problem != "", private: true}
}

// Error says what went wrong, whose fault it is, and what to do.
type Error struct {
	Fault Fault
	// Description is for whom the person tells.
	Description string
	// Back is where they can go on, and BackTo is what that is called.
	Back, BackTo string
	// Again is where they can try once more; may be empty.
	Again string
}

// Fault is whose fault something is.
type Fault string

// The faults there are.
const (
	// FaultOfApp: what the application asked for cannot be answered.
	FaultOfApp Fault = "app"
	// FaultOfServer: this server cannot answer now.
	FaultOfServer Fault = "server"
	// FaultOfTime: the person was signed out meanwhile.
	FaultOfTime Fault = "time"
	// FaultOfLink: there is nothing at the address.
	FaultOfLink Fault = "link"
	// FaultOfSite: a page of another site acted in the person's name.
	FaultOfSite Fault = "site"
)

func (e Error) form() form {
	return form{template: "error", title: texts.Name("fault of " + e.Fault), leads: true}
}
