package lists

import (
	"context"
	"time"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status/listeners"
)

// Follow sets the bits that follow from these changes, and puts them on the stream (see
// changes.Follower).
func (l *Lists) Follow(ctx context.Context, changed []changes.Change) error {
	l.following.Lock()
	defer l.following.Unlock()
	if changed == nil {
		return l.followAnything(ctx)
	}
	var opened, cut, everything bool
	var enabled []string
	for _, ch := range changed {
		opened = opened || ch.Kind == changes.StatusList
		everything = everything || ch.Kind == changes.Everything
		cut = cut || ch.IsCut()
		if ch.Kind == changes.Enabled {
			enabled = append(enabled, ch.Subject)
		}
	}
	if opened || everything {
		if err := l.refresh(ctx); err != nil {
			return err
		}
	}
	if len(enabled) > 0 {
		if err := l.clear(ctx, enabled); err != nil {
			return err
		}
	}
	if !cut && len(enabled) == 0 {
		return nil
	}
	runs, err := l.store.StatusesSet(ctx, changed)
	if err != nil {
		return err
	}
	l.set(runs)
	e := l.eventOf(changed, runs)
	e.Reload = e.Reload || everything || len(enabled) > 0
	l.number.Store(int64(e.Number))
	l.stream.Publish(e, changed)
	for _, ch := range changed {
		if ch.IsCut() {
			l.listed(l.now().Sub(ch.At))
		}
	}
	return nil
}

// followAnything reads all lists and all their bits anew.
func (l *Lists) followAnything(ctx context.Context) error {
	began := time.Now()
	// The number is read before the bits, so the bits are at least as new as it says.
	n, err := l.store.ChangeNumber(ctx)
	if err != nil {
		return err
	}
	if err := l.refresh(ctx); err != nil {
		return err
	}
	runs, err := l.store.StatusesSet(ctx, nil)
	if err != nil {
		return err
	}
	fresh := map[int64]bits{}
	lists := *l.known.Load()
	for number, h := range lists {
		fresh[number] = newBits(h.record.Load().Size)
	}
	for _, run := range runs {
		if b, ok := fresh[run.List]; ok && b.holds(run) {
			b.setRun(run)
		}
	}
	for number, h := range lists {
		h.change(func(b bits) { copy(b, fresh[number]) })
	}
	l.generation.Add(1)
	l.building.Store(int64(time.Since(began)))
	l.number.Store(int64(n))
	l.stream.Restart(n)
	return nil
}

// mostIndices bounds one event. If there are more indices, it is cheaper for listeners to
// fetch the lists.
const mostIndices = 10_000

// eventOf makes the event for changes from which these runs of set bits follow.
func (l *Lists) eventOf(changed []changes.Change, runs []Run) listeners.Event {
	byList, total := map[int64]*listeners.Indices{}, int64(0)
	e := listeners.Event{Number: changed[len(changed)-1].Number}
	for _, ch := range changed {
		e.Keys = e.Keys || ch.Kind == changes.Key
	}
	var order []int64
	for _, run := range runs {
		if total += run.Size; total > mostIndices {
			e.Reload = true
			return e
		}
		if byList[run.List] == nil {
			byList[run.List] = &listeners.Indices{URI: l.base.URI(run.List)}
			order = append(order, run.List)
		}
		for i := run.First; i < run.First+run.Size; i++ {
			byList[run.List].Indices = append(byList[run.List].Indices, i)
		}
	}
	for _, number := range order {
		e.Set = append(e.Set, *byList[number])
	}
	return e
}

// refresh reads which lists there are, and the server's epoch. A new list begins without
// set bits: these come with changes that are yet to be followed.
func (l *Lists) refresh(ctx context.Context) error {
	l.listing.Lock()
	defer l.listing.Unlock()
	lists, err := l.store.StatusLists(ctx)
	if err != nil {
		return err
	}
	epoch, err := l.store.ServerEpoch(ctx)
	if err != nil {
		return err
	}
	before, next := *l.known.Load(), make(map[int64]*list, len(lists))
	for _, record := range lists {
		h, ok := before[record.Number]
		if !ok || int64(len(h.bits))*8 < record.Size {
			h = &list{bits: newBits(record.Size), version: 1}
		}
		h.record.Store(&record)
		if record.Number < int64(epoch) {
			h.change(func(b bits) { b.setRun(Run{List: record.Number, Size: record.Size}) })
		}
		next[record.Number] = h
	}
	l.known.Store(&next)
	l.epoch.Store(int64(epoch))
	return nil
}

func (l *Lists) set(runs []Run) {
	lists := *l.known.Load()
	byList := map[int64][]Run{}
	for _, run := range runs {
		byList[run.List] = append(byList[run.List], run)
	}
	for number, runs := range byList {
		if h, ok := lists[number]; ok { // otherwise the list is gone
			h.change(func(b bits) {
				for _, run := range runs {
					if b.holds(run) {
						b.setRun(run)
					}
				}
			})
		}
	}
}

// clear clears the bits of clients that were enabled again, so that their tokens are valid
// again, except for those tokens that were revoked for another reason.
func (l *Lists) clear(ctx context.Context, clients []string) error {
	clear, err := l.store.StatusesClear(ctx, clients)
	if err != nil {
		return err
	}
	set, err := l.store.StatusesSet(ctx, nil)
	if err != nil {
		return err
	}
	lists := *l.known.Load()
	for number, h := range lists {
		h.change(func(b bits) {
			for _, run := range clear {
				if run.List == number && b.holds(run) {
					b.clearRun(run)
				}
			}
			for _, run := range set {
				if run.List == number && b.holds(run) {
					b.setRun(run)
				}
			}
		})
	}
	return nil
}
