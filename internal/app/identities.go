package app

import (
	"context"
	"encoding/json"
	"fmt"

	"go.uber.org/zap"

	"github.com/tocsin-project/tocsin/internal/credential"
	"github.com/tocsin-project/tocsin/internal/identity"
)

// openIdentities reads the identities of the data folder, if there are any.
func (a *App) openIdentities() error {
	folder := credential.In(a.cfg.Data)
	exists, err := folder.Exists()
	if err != nil {
		return fmt.Errorf("the identities in %s cannot be read, and without them the server would let in anybody: %w", folder, err)
	}
	if !exists {
		a.cfg.Log.Warn("no identities: every caller is accepted, so the server listens on loopback only; run tocsin init for other use")
		return nil
	}
	if a.identities, err = credential.Open(folder, a.cfg.Log); err != nil {
		return err
	}
	for _, name := range a.identities.Names(identity.Operator) {
		if _, ok := a.cfg.Rulebook.Register.Operator(name); !ok {
			a.cfg.Log.Warn("a credential is of an operator that is not in the register", zap.String("operator", name))
		}
	}
	for _, name := range a.identities.Names(identity.Desk) {
		if _, ok := a.cfg.Rulebook.Register.Desk(name); !ok {
			a.cfg.Log.Warn("a credential is of a desk that is not in the register", zap.String("desk", name))
		}
	}
	return nil
}

// watchIdentities applies changes in the identities' folder at once.
func (a *App) watchIdentities(ctx context.Context) error {
	if a.server == nil { // its administrator tells an outside NATS
		nothing := func(string) error { return nil }
		return a.identities.Watch(ctx, nothing, nothing)
	}
	return a.identities.Watch(ctx, a.server.UpdateAccount, a.server.RemoveAccount)
}

// checkAccounts refuses an outside NATS that does not enforce our credentials: there
// anybody could write the subjects by which the services identify callers.
func (a *App) checkAccounts(ctx context.Context) error {
	if a.identities == nil {
		return nil
	}
	account, err := credential.In(a.cfg.Data).ServicesAccount()
	if err != nil {
		return err
	}
	reply, err := a.nc.RequestWithContext(ctx, "$SYS.REQ.USER.INFO", nil)
	var info struct {
		Data struct {
			Account string `json:"account"`
		} `json:"data"`
	}
	if err == nil {
		err = json.Unmarshal(reply.Data, &info)
	}
	if err != nil || info.Data.Account != account {
		return fmt.Errorf("it does not hold clients to the accounts of %s: give it operator.jwt and the accounts", credential.In(a.cfg.Data))
	}
	return nil
}
