// Package scheduler is time in, tasks out; and the tasks that must be sent again. Any number of
// schedulers may run: a lease makes one of them work, which only saves work. Two that work at once say
// the same facts under the same ids.
//
//	options.go    the ports, what may be chosen, what is wrong with it
//	scheduler.go  New, Run, Ready; the rounds of the leader
//	cron.go       what a cron text means; Next and NextN for everybody
//	field.go      one field of a cron text
//	timing.go     a cron text on the clocks of a place: ticks, and changes of clocks
//	alarm.go      gocron rings when a schedule is due
//	table.go      the schedules as the bucket has them, watched
//	fire.go       one tick becomes one job; missed ticks become one at most
//	relay.go      runs that the ledger holds as accepted or queued for too long are sent again
//	patience.go   how long the relay waits between two sendings of one run
//	missing.go    queues that are not there
//	idle.go       since when a queue has been empty
//	rerun.go      failed jobs get the further runs that their types and queues ask for
//	expire.go     runs that outlived their queue's retention end
//	audit.go      when the books are held to the world
//	sweep.go      messages that no processor could take end as failed jobs
package scheduler
