package chain

import (
	"context"
	"errors"
)

// ErrNothing: no event is chained yet.
var ErrNothing = errors.New("nothing of the audit log is chained yet: a server does that within a second")

// Part is what comes next in an export: links and the heads among them, by number.
type Part struct {
	Links []Link
	Heads []Head
	// Last is the last number of the part, and More whether there is more.
	Last int64
	More bool
}

// Last returns the last head. Returns ErrNothing.
func (c *Chain) Last(ctx context.Context) (Head, error) {
	h, err := c.store.LastHead(ctx)
	if err == nil && h.Number == 0 {
		err = ErrNothing
	}
	return h, err
}

// Part returns what comes after a number, up to a number. Beginning at zero, the anchor
// comes first if there is one.
func (c *Chain) Part(ctx context.Context, after, through int64) (Part, error) {
	if after == 0 {
		anchors, err := c.store.Anchors(ctx)
		if err != nil {
			return Part{}, err
		}
		if len(anchors) > 0 {
			return Part{Heads: anchors[:1], Last: anchors[0].Number, More: anchors[0].Number < through}, nil
		}
	}
	return c.next(ctx, after, through)
}

// atATime is how many links and heads are read at a time.
const atATime = 500

// next returns the links and heads that come after a number.
func (c *Chain) next(ctx context.Context, after, through int64) (p Part, err error) {
	if p.Links, err = c.store.Links(ctx, after, through, atATime); err != nil {
		return Part{}, err
	}
	p.Last = through
	if len(p.Links) == atATime {
		p.Last = p.Links[len(p.Links)-1].Number
	}
	// There is at most one head for each link, unless links were removed.
	if p.Heads, err = c.store.Heads(ctx, after, p.Last, atATime); err != nil {
		return Part{}, err
	}
	if len(p.Heads) == atATime {
		p.Last = p.Heads[atATime-1].Number
		for len(p.Links) > 0 && p.Links[len(p.Links)-1].Number > p.Last {
			p.Links = p.Links[:len(p.Links)-1]
		}
	}
	p.More = p.Last < through
	return p, nil
}

// Each calls link and head for what is in the part, by number: a head comes after its event.
func (p Part) Each(link func(Link), head func(Head)) {
	for _, l := range p.Links {
		for len(p.Heads) > 0 && p.Heads[0].Number < l.Number {
			head(p.Heads[0])
			p.Heads = p.Heads[1:]
		}
		link(l)
	}
	for _, h := range p.Heads {
		head(h)
	}
}
