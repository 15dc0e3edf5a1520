package bus

import "time"

// SetCommitWait sets how long Commit waits for the engine.
func (b *Bus) SetCommitWait(wait time.Duration) { b.commitWait = wait }
