// Package indices owns which place in a status list the next token gets.
//
// Places are taken from the database in blocks, so that most tokens cost no
// statement, and given out in an order that tells an onlooker nothing. A process
// that dies wastes the rest of its blocks, and nothing else.
//
// It does not own the lists: whether one is still open, it asks.
package indices
