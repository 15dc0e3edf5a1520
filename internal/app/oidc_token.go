package app

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/tocsin-project/tocsin/internal/clock"
)

// The maximum age of an ID token, and how far the provider's clock may be ahead.
const (
	maxTokenAge  = 24 * time.Hour
	maxTokenSkew = time.Minute
)

// checkIDToken refuses a token of the provider that is not a fresh ID token for this
// client: an access token states what its bearer may do, not who has just logged in.
func (l *logins) checkIDToken(raw string, token *oidc.IDToken) error {
	var header struct {
		Type string `json:"typ"`
	}
	first, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.DecodeString(first)
	if err == nil {
		err = json.Unmarshal(text, &header)
	}
	if err != nil {
		return fmt.Errorf("not an ID token: its header cannot be decoded: %w", err)
	}
	if header.Type != "" && !strings.EqualFold(header.Type, "JWT") {
		return fmt.Errorf("not an ID token: its type is %q", header.Type)
	}
	var claims struct {
		Party    *string         `json:"azp"`
		IssuedAt *json.Number    `json:"iat"`
		Type     *string         `json:"typ"`       // Keycloak: ID, or Bearer
		Use      *string         `json:"token_use"` // Amazon Cognito: id, or access
		Scope    json.RawMessage `json:"scope"`     // of access tokens (RFC 9068)
		Scopes   json.RawMessage `json:"scp"`       // of those of Microsoft Entra
		Events   json.RawMessage `json:"events"`    // of logout tokens
	}
	if err := token.Claims(&claims); err != nil {
		return fmt.Errorf("not an ID token: %w", err)
	}
	switch now := (clock.System{}).Now(); {
	case claims.Type != nil && !strings.EqualFold(*claims.Type, "ID"), claims.Use != nil && *claims.Use != "id":
		return errors.New("not an ID token: its claims say so")
	case claims.Scope != nil, claims.Scopes != nil, claims.Events != nil:
		return errors.New("not an ID token: it has a scope or events")
	case claims.Party != nil && *claims.Party != l.oidc.ClientID:
		return fmt.Errorf("authorized party: it was issued to %q (azp)", *claims.Party)
	case claims.Party == nil && len(token.Audience) > 1:
		return errors.New("authorized party: it has several audiences and does not say to whom it was issued (azp)")
	case claims.IssuedAt == nil:
		return errors.New("not an ID token: it does not say when it was issued (iat)")
	case token.IssuedAt.After(now.Add(maxTokenSkew)):
		return errors.New("issued in the future")
	case now.Sub(token.IssuedAt) > maxTokenAge:
		return errors.New("issued more than a day ago")
	}
	return nil
}
