package web

import (
	"net/url"
	"testing"
)

func TestAnAddressKeepsItsOwnQueryByteForByte(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://app.test/cb":             "https://app.test/cb?state=a+%26",
		"https://app.test/cb?b=2&a=1":     "https://app.test/cb?b=2&a=1&state=a+%26",
		"https://app.test/cb?flag":        "https://app.test/cb?flag&state=a+%26",
		"https://app.test/cb?p=x;y":       "https://app.test/cb?p=x;y&state=a+%26",
		"https://app.test/cb?100%":        "https://app.test/cb?100%&state=a+%26",
		"https://app.test/cb?q=%7e+%20":   "https://app.test/cb?q=%7e+%20&state=a+%26",
		"https://app.test/cb?a=1&a=2":     "https://app.test/cb?a=1&a=2&state=a+%26",
		"https://app.test/cb?to=/x?y":     "https://app.test/cb?to=/x?y&state=a+%26",
		"https://app.test/cb?state=mine":  "https://app.test/cb?state=mine&state=a+%26",
		"https://app.test/cb?":            "https://app.test/cb?state=a+%26",
		"https://app.test/cb?a=1&":        "https://app.test/cb?a=1&state=a+%26",
		"http://[::1]:5000/cb?x":          "http://[::1]:5000/cb?x&state=a+%26",
		"com.example.app:/cb":             "com.example.app:/cb?state=a+%26",
		"com.example.app:opaque?b&a":      "com.example.app:opaque?b&a&state=a+%26",
		"https://app.test/%63b;v=1/é?b=é": "https://app.test/%63b;v=1/é?b=é&state=a+%26",
	} {
		if got := withQuery(address, url.Values{"state": {"a &"}}); got != want {
			t.Errorf("%s: %s, not %s", address, got, want)
		}
	}
}
