package apis

// ValidText is validText, for tests of what can be a text.
var ValidText = validText
