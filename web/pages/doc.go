// Package pages shows pages to people: sign-in, consent, sign-out, their account, and
// errors. It owns the templates and the style. Package texts has the words of the pages, in
// English and Korean. Package web decides what a page shows.
//
//	web handler → Write(Content) → template + texts of one language → HTML, with a Content-Security-Policy of its own
//
// Pages work without scripts, and load files only from this server. The templates escape
// every text, whoever wrote it. So nobody can insert a form of their own. This matters most
// for the pages that have no form-action, because their own forms may lead to an
// application.
package pages
