package chain

import (
	"context"
	"errors"
	"fmt"
)

// The kinds of flaws.
const (
	// Changed: the event is not the one that was chained at its number. It was edited, or
	// another one was moved there.
	Changed = "changed"
	// Missing: there are no events with these numbers. They were removed.
	Missing = "missing"
	// Rewritten: these events do not lead to the head that was signed after them. At least
	// one of them was edited, put in or removed, and the digests after it were replaced.
	Rewritten = "rewritten"
	// Unsigned: no head was signed after these events. They were put in, or the heads were
	// removed.
	Unsigned = "unsigned"
	// Forged: the head at this number, or the anchor, was not signed by a key of this server.
	Forged = "forged"
	// CutOff: the log ends before the head that was kept elsewhere.
	CutOff = "cut_off"
	// Replaced: the log has another history than the one whose head was kept elsewhere.
	Replaced = "replaced"
)

// Flaw is something that is wrong with the audit log.
type Flaw struct {
	Kind string
	// First and Last are the numbers that it is about.
	First, Last int64
	// EventID is that of the event, if it is about one that is there.
	EventID int64
	Detail  string
}

// Place is how far a check has come. It is kept between its calls.
type Place struct {
	// Number is the last that was checked. Stored is the digest that is stored there.
	// Trusted is the one that follows from the last good head and the events since.
	Number          int64
	Stored, Trusted Digest
	// Verified is the number of the last head whose signature was verified. Flawed says that
	// there was a flaw since, and Gap that the digests at this place are not known.
	Verified    int64
	Flawed, Gap bool
	Begun       bool
	// Through is the number up to which the log is checked. What is chained meanwhile is for
	// the next check.
	Through int64
}

// Report is what a check has found.
type Report struct {
	Flaws []Flaw
	// Checked is how many events were checked.
	Checked int
	// Next is where to go on; nil at the end, where Head is the last head and Unchained how
	// many events wait to be chained.
	Next      *Place
	Head      Head
	Unchained int64
}

// ErrTooOld: the head that was kept is of before the anchor, so what it stands for was
// purged.
var ErrTooOld = errors.New("the events up to the head that you have kept were purged: keep a newer one")

// verifiedEvery is after how many events a signature is verified, if nothing is wrong. A
// head of later on stands for all before it, so more would only tell more exactly where
// something was rewritten.
const verifiedEvery = 1000

// mostFlaws is how many flaws end a call.
const mostFlaws = 100

// Check checks the chain from a place on, which is the zero Place at the beginning, in about
// so many events. kept is a head that was kept elsewhere; may be zero. Returns ErrTooOld.
func (c *Chain) Check(ctx context.Context, from Place, kept Mark, limit int) (Report, error) {
	k := &checking{Chain: c, Place: from, kept: kept}
	if err := errors.Join(c.reload(ctx), k.begin(ctx)); err != nil {
		return Report{}, err
	}
	for k.Number < k.Through {
		if k.report.Checked >= limit || len(k.report.Flaws) >= mostFlaws {
			k.report.Next = &k.Place
			return k.report, nil
		}
		if err := k.some(ctx); err != nil {
			return Report{}, err
		}
	}
	return k.report, k.end(ctx)
}

// checking is a check under way.
type checking struct {
	*Chain
	Place
	kept   Mark
	report Report
	// agreed is the last head that agreed with the events, and was not verified.
	agreed Head
}

func (k *checking) flaw(kind string, first, last, event int64, detail string, args ...any) {
	k.Flawed = true
	k.report.Flaws = append(k.report.Flaws, Flaw{kind, first, last, event, fmt.Sprintf(detail, args...)})
}

// begin finds out where the chain begins and ends.
func (k *checking) begin(ctx context.Context) error {
	if k.Begun {
		return nil
	}
	k.Begun = true
	last, err := k.store.LastHead(ctx)
	if err != nil {
		return err
	}
	k.Through = last.Number
	return k.skip(ctx)
}

// skip goes on at the last anchor, if that is ahead.
func (k *checking) skip(ctx context.Context) error {
	anchors, err := k.store.Anchors(ctx)
	if err != nil {
		return err
	}
	for _, a := range anchors {
		if a.Number <= k.Number {
			break
		}
		digest, err := k.signed(a)
		if err != nil {
			k.flaw(Forged, a.Number, a.Number, 0, "the anchor cannot be trusted: %v", err)
			continue
		}
		if k.Number < k.kept.Number && k.kept.Number < a.Number {
			return ErrTooOld
		}
		k.Number, k.Stored = a.Number, digest
		k.trust(digest)
		if k.kept.Number == k.Number {
			k.compare()
		}
		break
	}
	return nil
}

// trust notes that a good head at this place has a digest.
func (k *checking) trust(digest Digest) {
	k.Trusted, k.Verified, k.Flawed, k.Gap, k.agreed = digest, k.Number, false, false, Head{}
}

// some checks the next links and the heads among them.
func (k *checking) some(ctx context.Context) error {
	part, err := k.next(ctx, k.Number, k.Through)
	if err != nil {
		return err
	}
	if len(part.Links) == 0 || part.Links[0].Number != k.Number+1 {
		// They may have been purged a moment ago.
		at := k.Number
		if err := k.skip(ctx); err != nil || k.Number != at {
			return err
		}
	}
	part.Each(func(l Link) {
		k.gap(l.Number - 1)
		k.link(l)
	}, func(h Head) {
		k.gap(h.Number)
		k.head(h)
	})
	k.gap(part.Last)
	return nil
}

// gap goes on at a number up to which there should be links that are not there.
func (k *checking) gap(through int64) {
	if k.Number >= through {
		return
	}
	k.flaw(Missing, k.Number+1, through, 0, "they were removed")
	k.Number, k.Gap = through, true
}

// link checks the event that comes next.
func (k *checking) link(l Link) {
	k.report.Checked++
	// Both digests are good for it: if the digests up to a head were replaced, the events
	// after it still follow from that head.
	stored := Follow(k.Stored, l.Number, l.Event).Digest
	trusted := stored
	if k.Trusted != k.Stored {
		trusted = Follow(k.Trusted, l.Number, l.Event).Digest
	}
	// After a gap nobody can say. The next head will, with all that follows until then.
	if l.Digest != stored && l.Digest != trusted && !k.Gap {
		k.flaw(Changed, l.Number, l.Number, l.Event.ID, "it is not what was chained here: it was edited or moved, or the one before it was, with its digest")
	}
	k.Gap = false
	k.Number, k.Stored, k.Trusted = l.Number, l.Digest, trusted
	if k.kept.Number == l.Number {
		k.compare()
	}
}

// compare compares the digest at this place with the one that was kept elsewhere.
func (k *checking) compare() {
	if k.kept.Number != 0 && k.kept.Digest != k.Stored && k.kept.Digest != k.Trusted {
		k.flaw(Replaced, k.kept.Number, k.kept.Number, 0, "the head that you have kept had another digest: what is here up to this number is not what was there")
	}
}

// head checks the head at this place.
func (k *checking) head(h Head) {
	if h.Number != k.Number {
		return
	}
	agrees := !k.Gap && (h.Digest == k.Stored || h.Digest == k.Trusted)
	if agrees && !k.Flawed && h.Number < k.Through && h.Number < k.Verified+verifiedEvery {
		k.agreed = h
		return
	}
	digest, err := k.signed(h)
	if errors.Is(err, ErrWithdrawn) {
		return // it counts no more; a later head stands for these events
	}
	if err != nil {
		k.flaw(Forged, h.Number, h.Number, 0, "the head cannot be trusted: %v", err)
		return
	}
	if !k.Flawed && digest != k.Stored && digest != k.Trusted {
		first := k.Verified + 1
		if before, err := k.signed(k.agreed); err == nil && before == k.agreed.Digest {
			first = k.agreed.Number + 1
		}
		k.flaw(Rewritten, first, h.Number, 0, "they do not lead to the head that was signed: one of them was edited, put in or removed, and the digests after it were replaced")
	}
	k.trust(digest)
}

// end looks at what is after the last head.
func (k *checking) end(ctx context.Context) (err error) {
	beyond, err := k.store.Links(ctx, k.Through, 1<<62, 1)
	if err != nil {
		return err
	}
	if k.report.Head, err = k.store.LastHead(ctx); err != nil {
		return err
	}
	switch tail, err := k.store.Tail(ctx); {
	case err != nil:
		return err
	case len(beyond) > 0 && k.report.Head.Number <= k.Through:
		k.flaw(Unsigned, beyond[0].Number, max(tail.Number, beyond[0].Number), 0, "no head was signed after them: they were put in, or the heads were removed")
	case k.Verified < k.Through:
		k.flaw(Unsigned, k.Verified+1, k.Through, 0, "no good head was signed after them")
	}
	if k.kept.Number > k.Through {
		k.flaw(CutOff, k.Through+1, k.kept.Number, 0, "the log ends before the head that you have kept: they were cut off")
	}
	k.report.Unchained, err = k.store.CountUnchained(ctx)
	return err
}
