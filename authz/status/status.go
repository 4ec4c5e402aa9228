package status

import (
	"strconv"
	"strings"
	"time"
)

// Ref is a place in a status list: the number of the list, and the index in it. The zero
// Ref means no place, since lists are numbered from 1.
type Ref struct {
	List, Index int64
}

// Base is the beginning of the addresses of all lists of an issuer, up to the last slash.
// The address of a list is its base and its number.
type Base string

// URI returns the address of a list, as tokens name it.
func (b Base) URI(list int64) string { return string(b) + strconv.FormatInt(list, 10) }

// ListOf returns the number of the list with that address; 0 if it is no list's address.
func (b Base) ListOf(uri string) int64 {
	text, is := strings.CutPrefix(uri, string(b))
	if !is {
		return 0
	}
	return Number(text)
}

// Number reads the number of a list; 0 if the text is none. It accepts only one spelling:
// otherwise one list would have several addresses, and a cache could keep an old copy
// under each.
func Number(text string) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 1 || strconv.FormatInt(number, 10) != text {
		return 0
	}
	return number
}

// Purpose says whose tokens get places in a list.
type Purpose string

// The purposes. A list of grants may close only when its tokens have had time to expire.
const (
	ForGrants  Purpose = "grants"
	ForClients Purpose = "clients"
)

// List is the record of a status list, without its bits.
type List struct {
	// Number identifies the list. It is the number of the change that opened it.
	Number  int64
	Purpose Purpose
	// Life is the longest life of a token that names the list.
	Life time.Duration
	// Size is how many indices the list has; Next, the first one that is not taken.
	Size, Next int64
	OpenedAt   time.Time
	// ClosesAt is from when on no new token may name the list; zero if that is not
	// decided yet.
	ClosesAt time.Time
}
