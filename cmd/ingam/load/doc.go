// Package load sends requests to a server as fast as it answers, and measures what one of
// them costs.
//
//	Target → Dial → wires → Plan.Run: rounds of requests, and signatures between them
//	       → Result: how many, in which time, with how much CPU, each how late
//
// It uses as little of the CPU as it can, because it often shares the CPUs with the server
// that it measures. It does not know what the requests mean, and does not make what they
// need.
package load
