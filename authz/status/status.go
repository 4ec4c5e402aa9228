package status

import (
	"strconv"
	"strings"
	"time"
)

// Ref is a place in a list. The zero Ref is none: lists are numbered from 1.
type Ref struct {
	List, Index int64
}

// Base is what the addresses of all lists of an issuer begin with, up to the last
// slash. A list's address is that and its number.
type Base string

// URI is the address of a list, as tokens name it.
func (b Base) URI(list int64) string { return string(b) + strconv.FormatInt(list, 10) }

// ListOf is the inverse of URI; 0 for what is the address of no list.
func (b Base) ListOf(uri string) int64 {
	text, is := strings.CutPrefix(uri, string(b))
	if !is {
		return 0
	}
	return Number(text)
}

// Number reads the number of a list in its one spelling; 0 for what is none. A second
// spelling would be a second address of the same list, which caches would keep apart.
func Number(text string) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 1 || strconv.FormatInt(number, 10) != text {
		return 0
	}
	return number
}

// Purpose says what refers to a list.
type Purpose string

// The purposes there are. They differ in when a list may close.
const (
	ForGrants  Purpose = "grants"
	ForClients Purpose = "clients"
)

// List is a status list as a record, without its bits.
type List struct {
	// Number names it; it is that of the change that opened it.
	Number  int64
	Purpose Purpose
	// Life is the longest that a token that refers to it lives.
	Life time.Duration
	// Size is how many indices it has, Next the first that nobody has.
	Size, Next int64
	OpenedAt   time.Time
	// ClosesAt is from when nobody may issue for it; zero while not decided.
	ClosesAt time.Time
}
