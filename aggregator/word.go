package aggregator

import "tallyman/contract"

// reason is a contract.Reason as its rank, so that the lesser is the earlier in the closed set.
type reason uint8

var (
	noReason      = reason(len(contract.Reasons()))
	firstInfra    = reason(contract.OOMKilled.Rank())
	lastInfra     = reason(contract.Lost.Rank())
	reasonWords   = append(append([]contract.Reason{}, contract.Reasons()...), "")
	sourceWords   = [...]contract.Source{fromAPI: contract.SourceAPI, fromBridge: contract.SourceBridge, fromProcessor: contract.SourceProcessor, fromScheduler: contract.SourceScheduler}
	sourceNumbers = map[contract.Source]source{
		contract.SourceAPI: fromAPI, contract.SourceBridge: fromBridge,
		contract.SourceProcessor: fromProcessor, contract.SourceScheduler: fromScheduler,
	}
)

func reasonOf(r contract.Reason) reason { return reason(r.Rank()) }

func (r reason) word() contract.Reason { return reasonWords[r] }

func (r reason) infrastructure() bool { return r >= firstInfra && r <= lastInfra }

// source is a contract.Source, numbered so that the lesser number is the lesser word.
type source uint8

const (
	fromAPI source = iota
	fromBridge
	fromProcessor
	fromScheduler
)

func (s source) word() contract.Source { return sourceWords[s] }
