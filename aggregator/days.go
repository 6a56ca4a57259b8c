package aggregator

import "tallyman/contract"

// days holds the windows, which are taken as they were written, to the documents of the jobs, day by day: of
// the days whose documents are all there.
type days struct {
	since int64
	pages map[dayOf]*page
}

type dayOf struct {
	slot  int
	begin int64
}

// newDays begins with the first whole day of which no document can be gone.
func newDays(horizon, floor int64) *days {
	since := contract.Day.Begin(floor) + contract.Day.Length().Milliseconds()
	return &days{since: max(since, contract.Day.Floor(horizon)), pages: make(map[dayOf]*page)}
}

func (d *days) page(slot int, at int64) *page {
	of := dayOf{slot, contract.Day.Begin(at)}
	if d.pages[of] == nil {
		d.pages[of] = new(page)
	}
	return d.pages[of]
}

// put adds one job's part.
func (d *days) put(slot int, marks []mark) {
	for i := range marks {
		if m := &marks[i]; m.at >= d.since {
			d.page(slot, m.at).put(m, 1)
		}
	}
}

// off takes the windows out again, and counts the days in which anything is left. Units have no documents.
func (d *days) off(b *books) (n int) {
	for _, p := range b.windows.pages {
		if p.begin < d.since || b.list[p.slot].typ == contract.NoType {
			continue
		}
		day := d.page(int(p.slot), p.begin)
		for i, k := range p.keys {
			day.add(k, -p.counts[i])
		}
	}
	for _, p := range d.pages {
		if len(p.keys) > 0 {
			n++
		}
	}
	return n
}
