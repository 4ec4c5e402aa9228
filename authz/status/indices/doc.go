// Package indices gives each new token its place in a status list: an index.
//
// It takes indices from the database in blocks, so that most tokens cost no statement, and
// gives them out in an order from which nobody can tell how many tokens there are. A
// process that dies wastes the rest of its blocks, and nothing else.
//
//	token or grant → Taker → an index of its block
//	               → block used up, or its list closed → Store: next block, or a new list
//
// It does not own the lists and their bits: package lists does.
package indices
