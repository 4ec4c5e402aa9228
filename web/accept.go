package web

import (
	"mime"
	"strconv"
	"strings"
)

// accepted are the media ranges of the Accept fields of a request (RFC 9110 section
// 12.5.1), each with its weight. One that cannot be read counts as absent.
type accepted map[string]float64

func parseAccept(fields []string) accepted {
	ranges := accepted{}
	for _, field := range fields {
		for element := range strings.SplitSeq(field, ",") {
			of, parameters, err := mime.ParseMediaType(element)
			if err != nil {
				continue
			}
			weight := 1.0
			if q, given := parameters["q"]; given {
				if weight, err = strconv.ParseFloat(q, 64); err != nil || !(0 <= weight && weight <= 1) {
					continue
				}
			}
			ranges[of] = max(ranges[of], weight)
		}
	}
	return ranges
}

// weight returns how welcome a media type is: what its most specific range says.
func (a accepted) weight(mediaType string) float64 {
	kind, _, _ := strings.Cut(mediaType, "/")
	for _, of := range []string{mediaType, kind + "/*", "*/*"} {
		if weight, given := a[of]; given {
			return weight
		}
	}
	return 0
}

// asks reports whether a media type is asked for by its name, and no less welcome than
// the usual one.
func (a accepted) asks(mediaType, usual string) bool {
	return a[mediaType] > 0 && a[mediaType] >= a.weight(usual)
}
