package apis

// ValidText gives other packages' tests access to validText.
var ValidText = validText
