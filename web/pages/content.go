package pages

// TextName names a text of the pages, in whatever language they are shown.
type TextName string

// Content is what one page shows: one type for each template. What its fields say
// is text, whoever wrote it, and never markup.
type Content interface {
	form() form
}

// form is what the pages of one template have in common.
type form struct {
	template string
	title    TextName
	// leads is whether a form of the page may lead to an application: browsers hold
	// every later hop of what answers it to form-action, wherever the application
	// sends the person on to, and there is no way to write some addresses there.
	leads bool
	// script is whether the page sends its form by itself.
	script bool
}

// Login asks for a user name and a password.
type Login struct {
	// Client is the application that the person signs in to; may be empty.
	Client string
	// Then is where they go afterwards.
	Then     string
	Username string
	Problem  TextName
}

func (Login) form() form { return form{template: "login", title: "sign in", leads: true} }

// Consent asks whether an application may have what it asks for.
type Consent struct {
	Client string
	// Host is where the person returns to.
	Host     string
	Username string
	// Request and Session come back with the answer.
	Request, Session string
	Scopes           []string
}

func (Consent) form() form { return form{template: "consent", title: "consent", leads: true} }

// Logout asks whether to sign out; without a Username it says that it is done.
type Logout struct {
	Username string
	// Request comes back with the answer.
	Request string
	// NoReturn is why there is no way back to the application.
	NoReturn TextName
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
	Fields []Field
}

// Field is one of a form that is passed on.
type Field struct{ Name, Value string }

func (Post) form() form {
	return form{template: "post", title: "passing on", leads: true, script: true}
}

// Account is what a person sees of their own.
type Account struct {
	Username, Email string
	Notice          TextName
	Sessions        []Session
	Apps            []App
}

// Session is a place where a person is signed in.
type Session struct {
	ID, Browser, Since, Address string
	Here                        bool
}

// App is an application that has access.
type App struct {
	ID, Name string
	Scopes   []string
}

func (Account) form() form { return form{template: "account", title: "account"} }

// Home says what this is, to whoever opens the address of the server.
type Home struct{}

func (Home) form() form { return form{template: "home", title: "home"} }

// Error says what went wrong.
type Error struct {
	// Advice is for the person, Description for whom they ask.
	Advice      TextName
	Description string
}

func (Error) form() form { return form{template: "error", title: "error"} }
