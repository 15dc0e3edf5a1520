package httpedge

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// Negotiate returns the offered media type that a request's Accept prefers (RFC 9110,
// section 12.5.1), the first offered of equals, or "" if it accepts none.
func Negotiate(h http.Header, offers ...string) string {
	accept := strings.Join(h.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return offers[0]
	}
	best, bestQuality := "", 0.0
	for _, offer := range offers {
		if q := quality(accept, offer); q > bestQuality {
			best, bestQuality = offer, q
		}
	}
	return best
}

// quality returns the quality that the most specific matching range of an Accept gives
// the offer; 0: not acceptable.
func quality(accept, offer string) float64 {
	wide, _, _ := strings.Cut(offer, "/")
	quality, narrowest := 0.0, 0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue // an invalid range matches nothing
		}
		narrow := 0
		switch name {
		case offer:
			narrow = 3
		case wide + "/*":
			narrow = 2
		case "*/*":
			narrow = 1
		}
		if narrow <= narrowest {
			continue
		}
		narrowest, quality = narrow, 1
		if text, ok := params["q"]; ok {
			if q, err := strconv.ParseFloat(text, 64); err == nil {
				quality = min(max(q, 0), 1)
			}
		}
	}
	return quality
}

// Profile returns the profile parameter that an Accept gives for a media type, or "".
func Profile(h http.Header, offer string) string {
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept"), ","), ",") {
		if name, params, err := mime.ParseMediaType(part); err == nil && name == offer && params["profile"] != "" {
			return params["profile"]
		}
	}
	return ""
}
