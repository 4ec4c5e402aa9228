// Package pages is what people see: sign-in, consent, sign-out, their account,
// and errors. It owns templates, style and, in package texts, what they say in English
// and Korean; what is to be shown is decided by package web.
//
//	web handler → Write(Content) → template + texts of one language → HTML, with a Content-Security-Policy of its own
//
// Pages need no script and load nothing but the picture in a browser's tab. Nothing that they show is markup, whoever
// wrote it: that keeps foreign forms out of those whose own forms may lead anywhere.
package pages
