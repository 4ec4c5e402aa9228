package processes

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// broken is a page with every fault that the gallery is searched for, to prove that the
// search finds them.
const broken = `<!doctype html><html lang="en"><meta http-equiv="Content-Security-Policy" content="img-src 'none'"><title>Broken</title>
<p style="width:1400px">wider than the page</p><p style="width:3rem;overflow:hidden;white-space:nowrap">cut off where the box ends</p>
<button style="width:20px;height:20px;padding:0">x</button><p><a href="/nowhere">a link by itself</a></p><img src="/picture.png" alt="">
<p id="low" style="color:#aaa">pale</p>
<p style="transition: color 1s">moving</p>
<script>
console.error('broken')
const next = () => requestAnimationFrame(() => requestAnimationFrame(() => low.className = 'moved'))
new PerformanceObserver(() => { low.style.marginTop = '200px'; next() }).observe({type: 'paint', buffered: true})
</script>`

// shifts is a script that measures how far visible content has moved since the page was
// shown (Layout Instability).
const shifts = `new Promise(done => {
	const moved = []
	new PerformanceObserver(list => {
		for (const shift of list.getEntries()) moved.push(shift.value + ': ' + shift.sources.map(s => s.node?.nodeName + '#' + s.node?.id).join(' '))
	}).observe({type: 'layout-shift', buffered: true})
	requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(moved))))
})`

// watched is a tab whose browser errors and warnings are recorded.
type watched struct {
	tab
	mu   sync.Mutex
	said []string
}

// watch opens a tab.
func watch(t *testing.T, ctx context.Context, name string) *watched {
	t.Helper()
	w := &watched{tab: tab{t, ctx, name}}
	err := chromedp.Listen(ctx, func(ev any) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch ev := ev.(type) {
		case *log.EventEntryAdded:
			w.said = append(w.said, fmt.Sprintf("%s: %s: %s", ev.Entry.Source, ev.Entry.Level, ev.Entry.Text))
		case *runtime.EventConsoleAPICalled:
			w.said = append(w.said, "console."+string(ev.Type))
		case *runtime.EventExceptionThrown:
			w.said = append(w.said, "exception: "+ev.ExceptionDetails.Text)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.do("come to the front", onADesktop, byDay, inFront)
	return w
}

// open goes to a page; errors and warnings from then on belong to it.
func (w *watched) open(address string) {
	w.t.Helper()
	w.complaints()
	w.do("open "+address, chromedp.Navigate(address))
}

// complaints returns the browser's errors and warnings since it was last called.
func (w *watched) complaints() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	said := w.said
	w.said = nil
	return said
}

func (w *watched) moved() []string {
	w.t.Helper()
	moved, err := chromedp.Run(w.ctx, chromedp.EvaluateAsDevTools[[]string](shifts, chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatal(err)
	}
	return moved
}

// TestTheGallery looks at every page in every state as people do: on a desktop and on a
// phone, in the light and in the dark, magnified, in both languages. With -artifacts it
// saves pictures of them.
func TestTheGallery(t *testing.T) {
	t.Parallel()
	e := exhibit(t)
	b := watch(t, browser(t, "en"), "gallery")

	b.open(e.URL + "/broken")
	b.do("wait until something moved that had been seen", chromedp.WaitVisible(".moved"))
	if shifts, misfits, said := b.moved(), b.misfits(), b.complaints(); len(shifts) == 0 || len(misfits) != 6 || len(said) != 2 {
		t.Fatalf("on a page that is broken on purpose was found:\n%q\n%q\n%q", shifts, misfits, said)
	}
	if violations, pale := b.violations(), b.pale(); axeIsInstalled() && (len(violations) < 3 || len(pale) != 1) {
		t.Fatalf("on a page that is broken on purpose axe-core found:\n%q\n%q", violations, pale)
	}

	for _, s := range e.states {
		for _, lang := range []string{"en", "ko"} {
			name, device := s.name+"-"+lang, onADesktop
			if lang == "ko" {
				device = onAPhone
			}
			b.do("look", device, byDay)
			b.open(e.address(s.name, lang))
			b.wrong(b.moved(), "%s moves while it is loaded", name)
			b.wrong(b.misfits(), "%s", name)
			// For axe-core, another language changes nothing that matters. So it checks
			// one language, and both only for the operator with its own accent colours.
			if lang == "en" || s.house == "accent" {
				b.wrong(b.violations(), "%s", name)
				b.do("look at night", atNight)
				b.wrong(b.pale(), "%s at night", name)
			}
			b.fits(name)
			b.wrong(b.complaints(), "%s: the browser says", name)
			b.pictures(name)
		}
	}

	// Some people force their own colours, or do not want anything to move.
	b.do("prefer", onADesktop, prefers("forced-colors", "active", "prefers-reduced-motion", "reduce"))
	for _, name := range []string{"sign-in-wrong", "consent-every-kind", "account-current-wrong"} {
		b.open(e.address(name, "en"))
		b.wrong(b.unseen(), "%s, with forced colours", name)
		b.wrong(b.misfits(), "%s, with forced colours and reduced motion", name)
		for _, without := range evaluate[[]string](b.tab, `[...document.querySelectorAll('a, button, input:not([type=hidden])')].filter(e => e.checkVisibility()).filter(e => {
			e.focus({focusVisible: true})
			const s = getComputedStyle(e)
			return document.activeElement !== e || s.outlineStyle !== 'solid' || parseFloat(s.outlineWidth) < 3 || s.outlineColor === getComputedStyle(document.body).backgroundColor
		}).map(e => e.localName + '#' + e.id + ' ' + e.innerText)`) {
			t.Errorf("%s, with forced colours: nobody sees that the focus is on %s", name, without)
		}
		b.photograph(name + "-forced-colours")
	}
	b.do("look as before", byDay)

	// Without fonts for Korean, the seal must look the same.
	b.open(e.address("sign-in", "ko"))
	seal := picture(t, b.tab, ".house svg")
	if written := evaluate[bool](b.tab, isWritten); !written {
		t.Run("with fonts for Korean", func(t *testing.T) {
			t.Skip("there are none: install Debian's fonts-noto-cjk")
		})
	}
	bare := watch(t, browser(t, "en", chromedp.Env("FONTCONFIG_FILE="+withoutKorean(t))), "without fonts for Korean")
	for _, lang := range []string{"en", "ko"} {
		bare.open(e.address("sign-in", lang))
		bare.wrong(bare.misfits(), "sign-in-%s without fonts", lang)
		bare.pictures("sign-in-" + lang + "-without-fonts")
	}
	if written := evaluate[bool](bare.tab, isWritten); written {
		t.Error("there are fonts for Korean all the same")
	}
	if got := picture(t, bare.tab, ".house svg"); got.Bounds() != seal.Bounds() || !slices.Equal(got.Pix, seal.Pix) {
		t.Error("the seal is another without fonts for Korean")
	}

	// A page with everything, and the next page, must not need more requests and bytes
	// than this.
	for _, first := range []string{"consent-every-kind", "account-full"} {
		ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
		t.Cleanup(cancel)
		fresh := watch(t, ctx, "with nothing in its cache")
		take := func(name string, most int64) {
			t.Helper()
			requests, bytes := e.requests.Load(), e.bytes.Load()
			fresh.open(e.address(name, "en"))
			requests, bytes = e.requests.Load()-requests, e.bytes.Load()-bytes
			t.Logf("%s: %d requests, %d bytes with headers", name, requests, bytes)
			if requests > most || bytes > 40_000 {
				t.Errorf("%s takes %d requests and %d bytes", name, requests, bytes)
			}
		}
		take(first, 4)
		take("sign-in-wrong", 1)
	}
}

// isWritten is a script that reports whether the fonts have Korean letters. Missing
// letters all look alike.
const isWritten = `(() => {
	const draw = letter => {
		const paper = document.createElement('canvas').getContext('2d')
		paper.font = '40px ' + getComputedStyle(document.body).fontFamily
		paper.fillText(letter, 10, 60)
		return paper.getImageData(0, 0, 100, 100).data.join()
	}
	return draw('인') !== draw('감')
})()`

// withoutKorean writes a fontconfig configuration that has this machine's fonts, except
// those with Chinese, Japanese or Korean letters.
func withoutKorean(t *testing.T) (file string) {
	t.Helper()
	dir := t.TempDir()
	var reject string
	for _, lang := range []string{"ko", "ja", "zh-cn", "zh-tw", "zh-hk"} {
		reject += "<pattern><patelt name=\"lang\"><string>" + lang + "</string></patelt></pattern>"
	}
	file = filepath.Join(dir, "fonts.conf")
	config := `<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig><include ignore_missing="yes">/etc/fonts/fonts.conf</include>` +
		"<cachedir>" + dir + "/cache</cachedir><selectfont><rejectfont>" + reject + "</rejectfont></selectfont></fontconfig>"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// picture returns the pixels of an element.
func picture(t *testing.T, b tab, selector string) *image.NRGBA {
	t.Helper()
	encoded, err := chromedp.Run(b.ctx, chromedp.Screenshot(selector))
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := png.Decode(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	pixels := image.NewNRGBA(decoded.Bounds())
	draw.Draw(pixels, pixels.Bounds(), decoded, decoded.Bounds().Min, draw.Src)
	return pixels
}
