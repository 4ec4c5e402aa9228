package load

import "sync/atomic"

// Series is what one connection sends.
type Series struct {
	// Next returns the next request; empty if there is none.
	Next func() string
	// Took, if set, is told the body of each answer, which it must not keep.
	Took func(body []byte) error
}

// Repeat returns the series of n connections that send the same request again and again.
func Repeat(text string, n int) []Series {
	return same(n, func() string { return text })
}

// Each returns the series of n connections that together send each request once.
func Each(texts []string, n int) []Series {
	var taken atomic.Int64
	return same(n, func() string {
		i := taken.Add(1) - 1
		if i >= int64(len(texts)) {
			return ""
		}
		return texts[i]
	})
}

func same(n int, next func() string) []Series {
	all := make([]Series, n)
	for i := range all {
		all[i].Next = next
	}
	return all
}
