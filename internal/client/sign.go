package client

import (
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/tocsin-project/tocsin/internal/event"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// SignWith has what a desk does signed with the key of its .creds file: where there
// are identities, nothing else is taken. Its error does not repeat what is in the file.
func (c *Client) SignWith(creds []byte) error {
	pair, err := nkeys.ParseDecoratedUserNKey(creds)
	if err != nil {
		return errors.New("this is no .creds file, as tocsin credential add makes it")
	}
	c.signer = pair
	return nil
}

// sign returns the headers of a message of which a record of this subject is to be
// made; none without a key.
func (c *Client) sign(record string, sent []byte) (nats.Header, error) {
	if c.signer == nil {
		return nil, nil
	}
	key, err := c.signer.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("client: sign: %w", err)
	}
	signature, err := c.signer.Sign(evidence.ActText(c.realm.Wire(record), sent))
	if err != nil {
		return nil, fmt.Errorf("client: sign: %w", err)
	}
	return nats.Header{event.HeaderKey: {key}, event.HeaderSignature: {base64.StdEncoding.EncodeToString(signature)}}, nil
}
