package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress tells people at a terminal what is being done, and how far it is, in a line that
// it rewrites. What is done within a second is not told, and elsewhere it says nothing.
type progress struct {
	to io.Writer // nil if it is no terminal

	mu    sync.Mutex
	text  string
	due   *time.Timer // when the line is shown; nil if nothing is being done
	shown bool
}

func newProgress(to io.Writer) *progress {
	if isTerminal(to) {
		return &progress{to: to}
	}
	return &progress{}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// clearLine puts the cursor at the beginning of the line and clears that.
const clearLine = "\r\x1b[K"

// begin says what is being done, and returns what ends that. Within something else that is
// being done and told, it says nothing.
func (p *progress) begin(what string) (end func()) {
	p.mu.Lock()
	within := p.due != nil
	p.mu.Unlock()
	if within {
		return func() {}
	}
	p.say(what)
	return p.end
}

// say says what is being done by now.
func (p *progress) say(what string) {
	if p.to == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = what
	switch {
	case p.shown:
		p.write()
	case p.due == nil:
		p.due = time.AfterFunc(time.Second, p.show)
	}
}

// part is say with how much of it is done.
func (p *progress) part(what string, part float64) {
	p.say(fmt.Sprintf("%s, %d %%", what, percentOf(part)))
}

func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due != nil && !p.shown {
		p.shown = true
		p.write()
	}
}

func (p *progress) write() { fmt.Fprint(p.to, clearLine, p.text) }

// end removes the line.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.due != nil {
		p.due.Stop()
		p.due = nil
	}
	if p.shown {
		p.shown = false
		fmt.Fprint(p.to, clearLine)
	}
}

// during does something that may take long, and says what.
func (t *terminal) during(what string, do func() error) error {
	defer newProgress(t.stderr).begin(what)()
	return do()
}
