// Package pages is what people see: sign-in, consent, sign-out, their account,
// and errors. It owns templates, style and texts, in English and Korean; what is
// to be shown is decided by package web.
//
//	web handler → Write(Page) → template + texts of one language → HTML, with a Content-Security-Policy of its own
//
// Pages need no script and load nothing.
package pages
