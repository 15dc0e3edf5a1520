package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/tocsin-project/tocsin/internal/api"
	"github.com/tocsin-project/tocsin/internal/clock"
	"github.com/tocsin-project/tocsin/internal/evidence"
)

// SignWith makes the client sign the acts of a desk, and the removals of an
// administrator, with the key of a .creds file: where there are identities, the server
// accepts no others. Its error does not repeat the content of the file.
func (c *Client) SignWith(creds []byte) error {
	pair, err := nkeys.ParseDecoratedUserNKey(creds)
	if err != nil {
		return errors.New("this is not a .creds file written by tocsin credential add")
	}
	c.signer = pair
	return nil
}

// sign returns the headers with the signature of a text; none without a key.
func (c *Client) sign(text []byte) (nats.Header, error) {
	if c.signer == nil {
		return nil, nil
	}
	key, err := c.signer.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("client: sign: %w", err)
	}
	signature, err := c.signer.Sign(text)
	if err != nil {
		return nil, fmt.Errorf("client: sign: %w", err)
	}
	return nats.Header{api.HeaderKey: {key}, api.HeaderSignature: {base64.StdEncoding.EncodeToString(signature)}}, nil
}

// logNameTimeout bounds how long an act waits for the name of the log that it is signed
// for.
const logNameTimeout = 2 * time.Second

// act sends a desk's act, signed for the record to be made of it. Where the server does
// not list tocsin/act/2, or cannot be asked, the act is signed as tocsin/act/1, without
// the log's name and the time.
func act[T any](ctx context.Context, c *Client, endpoint, record string, body any) (*T, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	format := evidence.ActFormat1
	if signing := c.actSigning(ctx); signing != (api.Signing{}) {
		format = evidence.ActFormat2
		more, err := json.Marshal(signing)
		if err != nil {
			return nil, fmt.Errorf("client: %w", err)
		}
		data = append(append(data[:len(data)-1], ','), more[1:]...)
	}
	header, err := c.sign(evidence.ActText(format, c.realm.Wire(record), data))
	if err != nil {
		return nil, err
	}
	return request[T](ctx, c, &nats.Msg{Subject: endpoint, Header: header, Data: data})
}

// actSigning returns the Signing of an act; empty where the client has no key or the
// server does not support it.
func (c *Client) actSigning(ctx context.Context) api.Signing {
	if c.signer == nil {
		return api.Signing{}
	}
	ctx, cancel := context.WithTimeout(ctx, logNameTimeout)
	defer cancel()
	log, err := c.Log(ctx)
	if err != nil || !slices.Contains(log.ActFormats, evidence.ActFormat2) {
		return api.Signing{}
	}
	signing, err := signingFor(log)
	if err != nil {
		return api.Signing{}
	}
	return signing
}

// signing returns the Signing of a request to remove or archive; empty without a key.
func (c *Client) signing(ctx context.Context) (api.Signing, error) {
	if c.signer == nil {
		return api.Signing{}, nil
	}
	log, err := c.Log(ctx)
	if err != nil {
		return api.Signing{}, err
	}
	return signingFor(log)
}

func signingFor(log *api.LogState) (api.Signing, error) {
	v, err := evidence.NewVerifier(log.Key)
	if err != nil {
		return api.Signing{}, err
	}
	now := clock.System{}.Now().UTC()
	return api.Signing{Log: v.Origin(), SignedAt: &now}, nil
}

// requestSigned calls an endpoint that removes records, signed where the client has a
// key.
func requestSigned(ctx context.Context, c *Client, endpoint string, payload any) (*api.RemoveAnswer, error) {
	data, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	header, err := c.sign(evidence.RemovalText(c.realm.Wire(endpoint), data))
	if err != nil {
		return nil, err
	}
	return request[api.RemoveAnswer](ctx, c, &nats.Msg{Subject: endpoint, Header: header, Data: data})
}
