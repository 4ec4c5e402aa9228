package processes

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Widths and heights of windows, in CSS pixels.
var (
	onADesktop = chromedp.EmulateViewport(1280, 800)
	onAPhone   = chromedp.EmulateViewport(390, 844)
	// A small phone has the size of a desktop window at a zoom of 400 % (WCAG 2.2,
	// 1.4.10). A magnified page is one at 200 %.
	onASmallPhone = chromedp.EmulateViewport(320, 568)
	magnified     = chromedp.EmulateViewport(640, 400)
)

// prefers sets preferences of the person, as names and values of CSS media features in
// turn.
func prefers(features ...string) chromedp.Action[chromedp.Void] {
	var set emulation.SetEmulatedMediaParams
	for i := 0; i+1 < len(features); i += 2 {
		set.Features = append(set.Features, &emulation.MediaFeature{Name: features[i], Value: features[i+1]})
	}
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, set)
		return chromedp.Void{}, err
	}
}

var byDay, atNight = prefers("prefers-color-scheme", "light"), prefers("prefers-color-scheme", "dark")

// inFront makes a page show which element has the focus, as if its window were in front.
func inFront(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
	_, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	return chromedp.Void{}, err
}

// kept reports whether pictures are kept, which go test does with -artifacts. Otherwise
// none are taken, because that takes time.
func kept() bool {
	artifacts := flag.Lookup("test.artifacts")
	return artifacts != nil && artifacts.Value.String() == "true"
}

// photograph takes a picture of the whole page, if pictures are kept.
func (b tab) photograph(name string) {
	b.t.Helper()
	if !kept() {
		return
	}
	yes := true
	r, err := chromedp.Run(b.ctx, func(ctx context.Context, t *chromedp.Target) (page.CaptureScreenshotResult, error) {
		return cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &yes, OptimizeForSpeed: &yes})
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.t.ArtifactDir(), name+".png"), r.Data, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// pictures takes pictures of the current page: as wide as a desktop and a phone, light and
// dark.
func (b tab) pictures(name string) {
	b.t.Helper()
	if !kept() {
		return
	}
	for device, width := range map[string]chromedp.Action[chromedp.Void]{"desktop": onADesktop, "phone": onAPhone} {
		b.do(device, width, byDay)
		b.photograph(name + "-" + device + "-light")
		b.do(device, atNight)
		b.photograph(name + "-" + device + "-dark")
	}
	b.do("look as before", onADesktop, byDay)
}

// violations runs axe-core on the current page, and returns the barriers that it finds for
// people with disabilities. The script is injected like code from the developer tools, to
// which the page's CSP does not apply.
func (b tab) violations() []string {
	b.t.Helper()
	return b.axe(`
		runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
		rules: {'target-size': {enabled: true}}, // which it leaves out unless asked`)
}

// pale runs only the colour rules of axe-core, because a theme changes only the
// colours.
func (b tab) pale() []string {
	b.t.Helper()
	return b.axe(`runOnly: {type: 'rule', values: ['color-contrast']},`)
}

const axeFile = "../testdata/node/node_modules/axe-core/axe.min.js"

func axeIsInstalled() bool {
	_, err := os.Stat(axeFile)
	return err == nil
}

func (b tab) axe(options string) []string {
	b.t.Helper()
	source, err := os.ReadFile(axeFile)
	if err != nil {
		b.t.Run("axe", func(t *testing.T) {
			t.Skip("npm's axe-core is not installed: run npm ci in cmd/ingam/testdata/node")
		})
		return nil
	}
	if !evaluate[bool](b, `'axe' in window`) {
		evaluate[bool](b, string(source)+";true")
	}
	// Preloading would fetch the style sheet once more. Only rules about sound and
	// about styles by orientation need it, and no page has these.
	found, err := chromedp.Run(b.ctx, chromedp.EvaluateAsDevTools[[]string](`axe.run(document, {
		preload: false, resultTypes: ['violations'], `+options+`
	})
		.then(({violations}) => violations.flatMap(v => v.nodes.map(n => v.id + ': ' + n.target.join(' ') + ': ' + n.failureSummary)))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

// misfits finds faults in the layout of a page: elements that make it wider than the
// window, leave the window, or do not fit into their place; elements that move; and
// targets that are hard to hit, which is less than 44 by 44 CSS pixels (WCAG 2.2,
// 2.5.5). As WCAG does, it leaves out a link inside a sentence: one that is laid out
// like text, beside other text.
func (b tab) misfits() []string {
	b.t.Helper()
	return evaluate[[]string](b, `(() => {
		const found = [], width = document.documentElement.clientWidth
		const named = e => e.localName + (e.id ? '#' + e.id : '') + ' ' + JSON.stringify((e.innerText ?? '').trim().slice(0, 30))
		if (document.documentElement.scrollWidth > width) found.push('the page scrolls sideways')
		if (document.getAnimations().length) found.push('something moves')
		for (const e of document.body.querySelectorAll('*')) {
			const box = e.getBoundingClientRect(), style = getComputedStyle(e)
			if (!box.width || !box.height || !e.checkVisibility()) continue
			if (style.animationName != 'none' || style.transitionDuration != '0s') found.push(named(e) + ' moves')
			if (box.left < -.5 || box.right > width + .5) found.push(named(e) + ' leaves the page')
			if (e.matches('a, button, input, select, textarea, summary')) {
				let around = e.parentElement
				while (getComputedStyle(around).display == 'inline') around = around.parentElement
				const inSentence = e.matches('a') && style.display == 'inline' && around.innerText.trim() != e.innerText.trim()
				if (!inSentence && (box.width < 44 || box.height < 44)) found.push(named(e) + ' is ' + box.width + ' by ' + box.height)
			}
			if (e.matches('input, svg *') || style.display == 'inline') continue
			if (e.scrollWidth > e.clientWidth + 1) found.push(named(e) + ' is wider than its place')
			if (style.overflowY != 'visible' && e.scrollHeight > e.clientHeight + 1) found.push(named(e) + ' is higher than its place')
		}
		return found
	})()`)
}

// unseen finds elements that are invisible while colours are forced: all backgrounds
// then have the same colour, and only borders show.
func (b tab) unseen() []string {
	b.t.Helper()
	return evaluate[[]string](b, `[...document.querySelectorAll('.card, button.main, .button, button:not(.link, .field *), input, pre, .alert:not(:empty)')].filter(e => e.checkVisibility()).filter(e => {
		const s = getComputedStyle(e)
		return s.borderTopStyle === 'none' || parseFloat(s.borderTopWidth) < 1 || s.borderTopColor === s.backgroundColor || s.borderTopColor === 'rgba(0, 0, 0, 0)'
	}).map(e => e.localName + '#' + e.id)`)
}

// wrong reports the faults that were found in a page.
func (b tab) wrong(found []string, format string, args ...any) {
	b.t.Helper()
	for _, f := range found {
		b.t.Errorf("%s: %s", fmt.Sprintf(format, args...), f)
	}
}

// fits checks a page in narrower windows, and with letters twice as large.
func (b tab) fits(name string) {
	b.t.Helper()
	for _, window := range []struct {
		name string
		size chromedp.Action[chromedp.Void]
	}{{"phone", onAPhone}, {"small phone", onASmallPhone}, {"magnified page", magnified}} {
		b.do(window.name, window.size)
		b.wrong(b.misfits(), "%s on a %s", name, window.name)
	}
	evaluate[any](b, `document.documentElement.style.fontSize = '200%', null`)
	b.wrong(b.misfits(), "%s with large letters", name)
	evaluate[any](b, `document.documentElement.style.fontSize = '', null`)
}

// looks takes pictures of the page in the tab, and checks what everyone needs of it.
func (b tab) looks(name string) {
	b.t.Helper()
	b.pictures(name)
	b.wrong(b.violations(), "%s, light", name)
	b.do("look at night", atNight)
	b.wrong(b.pale(), "%s, dark", name)
	b.wrong(b.misfits(), "%s", name)
	b.fits(name)
	b.do("force colours", prefers("forced-colors", "active"))
	b.wrong(b.unseen(), "%s, with forced colours", name)
	b.do("look as before", onADesktop, byDay)
}
