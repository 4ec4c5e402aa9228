package pages

import (
	"net/url"
	"time"

	"github.com/ingam/ingam/web/pages/texts"
)

// Content is what one page shows. There is one type for each template. The fields contain
// text and never markup, whoever wrote it: the templates escape it.
type Content interface {
	form() form
}

// form is what the pages of one template have in common.
type form struct {
	template string
	title    texts.Name
	// wrong is whether the page reports an error. Its title then says so too, because a
	// screen reader reads the title first.
	wrong bool
	// leads is whether a form of the page may lead to an application. Browsers apply
	// form-action to every redirect after the form, too, and some addresses of
	// applications cannot be written there.
	leads bool
	// private is whether the page's address may contain a secret. Then the browser sends
	// no Referer header, and says of the page's forms that they come from nowhere.
	private bool
}

// Login asks for a user name and a password.
type Login struct {
	// Client is the name of the application that the person signs in to; may be empty.
	Client string
	// Then is where they are sent afterwards.
	Then     string
	Username string
	// Problem says what was wrong; Wait is how long further attempts are refused.
	Problem texts.Name
	Wait    time.Duration
	// Done says what went well before; may be empty.
	Done texts.Name
}

func (l Login) form() form {
	return form{template: "login", title: "sign in", wrong: l.Problem != "", leads: true}
}

// NewPassword asks for a new password.
type NewPassword struct {
	// Link is the token of a link by which the password is set. Otherwise somebody is
	// signing in with a password that must be changed: Note says who, and Then is where
	// they are sent afterwards. All are sent back with the answer.
	Link, Note, Then string
	Username         string
	// Problem says what was wrong; Wait is how long further attempts are refused.
	Problem texts.Name
	Wait    time.Duration
	// Shortest and Longest are the limits of the length of a password, in characters.
	Shortest, Longest int
}

func (n NewPassword) form() form {
	f := form{template: "newpassword", title: "must change", wrong: n.Problem != "", leads: true}
	if n.Link != "" {
		f.title, f.leads, f.private = "set password", false, true
	}
	return f
}

// DeadLink says that a link by which a password is set is good for nothing.
type DeadLink struct {
	// Problem says why it was not looked at; empty if it was. Wait is for how long.
	Problem texts.Name
	Wait    time.Duration
}

func (d DeadLink) form() form {
	f := form{template: "deadlink", title: "dead link", private: true}
	if d.Problem != "" {
		f.title = "not now"
	}
	return f
}

// Consent asks whether an application may have the permissions that it asks for.
type Consent struct {
	Client string
	// Since is when the application was registered.
	Since time.Time
	// Host is the host to which the person returns.
	Host     string
	Username string
	// Request and Session are sent back with the answer.
	Request, Session string
	Permissions      []Permission
}

// Permission is something that an application may do.
type Permission struct {
	Text string
	// Whose adds to Text, for example with the name of the API or the person's address.
	// API is the name of the API that the permission belongs to. Both may be empty.
	Whose, API string
}

func (Consent) form() form { return form{template: "consent", title: "consent", leads: true} }

// Logout asks whether to sign out. Without a Username it says that the person is signed
// out.
type Logout struct {
	Username string
	// Request is sent back with the answer.
	Request string
	// NoReturn says why there is no way back to the application; may be empty.
	NoReturn texts.Name
}

func (l Logout) form() form {
	if l.Username == "" {
		return form{template: "logout", title: "signed out", leads: true}
	}
	return form{template: "logout", title: "sign out", leads: true}
}

// Post sends fields to another address: by itself if the browser runs scripts, else with a
// button.
type Post struct {
	Action string
	Fields url.Values
}

func (Post) form() form { return form{template: "post", title: "passing on", leads: true} }

// Account shows people their own sessions, applications and data.
type Account struct {
	// Matter is the part of the account that the page is about.
	Matter   Matter
	Person   Person
	Sessions []Session
	// SessionCount and AppCount count all sessions and applications, also those that
	// are not shown.
	SessionCount int
	Apps         []App
	AppCount     int
	Outcome      Outcome
	// Shortest and Longest are the limits of the length of a password, in characters.
	Shortest, Longest int
}

// Matter is a part of the account.
type Matter string

// The parts of an account; the empty one stands for all of them.
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
	// Initial is shown if there is no picture.
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

// Outcome is the result of a form of the account page. It is shown beside the form.
type Outcome struct {
	Of   Matter
	Text texts.Name
	// Field is the field that was wrong; empty if the form succeeded.
	Field string
	// Count is the number that is put into Text.
	Count int
	// Wait is how long further attempts are refused.
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

// Home says what this server is, at the address of the server itself.
type Home struct{}

func (Home) form() form { return form{template: "home", title: "home"} }

// Demo is the app of a demonstration, before and after somebody has signed in to it.
type Demo struct {
	// Problem says why the sign-in failed; may be empty.
	Problem string
	// Logout is the address for signing out; empty if nobody is signed in.
	Logout string
	// ID, Access and Refresh are the tokens that the app got.
	ID, Access, Refresh Token
}

// Token is a decoded token, for a person to read.
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
	// Description is for the developers to whom the person reports the error.
	Description string
	// Back is the address where they can continue, and BackTo is its label.
	Back, BackTo string
	// Again is the address for another try; may be empty.
	Again string
}

// Fault is whose fault something is.
type Fault string

// The possible faults.
const (
	// FaultOfApp: what the application asked for cannot be answered.
	FaultOfApp Fault = "app"
	// FaultOfServer: this server cannot answer now.
	FaultOfServer Fault = "server"
	// FaultOfTime: the person was signed out in the meantime.
	FaultOfTime Fault = "time"
	// FaultOfLink: there is nothing at the address.
	FaultOfLink Fault = "link"
	// FaultOfSite: a page of another site acted in the person's name.
	FaultOfSite Fault = "site"
)

func (e Error) form() form {
	return form{template: "error", title: texts.Name("fault of " + e.Fault), leads: true, private: true}
}
