package httpedge

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// Content is an answer whose ETag is the hash of its body. A client that has it already
// gets 304.
type Content struct {
	Type  string // media type
	Cache string // Cache-Control
	Body  []byte
}

// Values of Cache-Control.
const (
	CacheImmutable  = "private, max-age=31536000, immutable" // it never changes
	CacheSecond     = "private, max-age=1"                   // it may be a second old
	CacheRevalidate = "no-cache"                             // revalidate each time
	CacheNever      = "no-store"
)

// Answer sends the content.
func (c Content) Answer(w http.ResponseWriter, r *http.Request) {
	sum := sha256.Sum256(c.Body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	h := w.Header()
	h.Set("ETag", tag)
	h.Set("Cache-Control", c.Cache)
	if matchesETag(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", c.Type)
	h.Set("Content-Length", strconv.Itoa(len(c.Body)))
	_, _ = w.Write(c.Body) // the peer may be gone
}

// matchesETag reports whether an If-None-Match contains the tag (RFC 9110, section
// 13.1.2: by the weak comparison, or * for any).
func matchesETag(ifNoneMatch []string, tag string) bool {
	for _, value := range ifNoneMatch {
		for one := range strings.SplitSeq(value, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}
