package authorization

import "testing"

func TestWhatAStrangerSentIsBareAndQuoted(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"": "", "https://app.example/cb": "https://app.example/cb", "https://app.example": "https://app.example",
		"https://app.example/cb?code=secret": "https://app.example/cb", "https://app.example/cb#token=secret?x": "https://app.example/cb",
		"https://app.example#secret": "https://app.example", "https://minji:secret@app.example:8443/@minji": "https://app.example:8443/@minji",
		"https://a@secret@app.example/": "https://app.example/", "com.example.app:/cb?secret": "com.example.app:/cb",
		"https://minji:sec/ret@app.example/cb": "app.example/cb", "minji:secret@app.example/cb": "app.example/cb",
		"https:/minji:secret@app.example/cb": "app.example/cb", "https://minji:%secret@app.example/cb": "app.example/cb",
		"https://": "https://", "%zz?secret": "%zz",
	} {
		if got := barely(address); got != want {
			t.Errorf("%q: %q", address, got)
		}
	}
	for text, want := range map[string]string{
		"": "", "shop": "shop", "김": "김", "a\nb\x00": `a\nb\x00`, "\x1b[31m": `\x1b[31m`, "\u202etxt": `\u202etxt`, `a"b\c`: `a\"b\\c`, "\xff": `\xff`,
		"12345678": "12345678", "123456789": "12345678…", "1234567김": "1234567…",
	} {
		if got := quoted(text, 8); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}
