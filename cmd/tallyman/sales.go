package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"time"

	"tallyman/contract"
)

// sale is one event of a shop: a sale or a change of its inventory. The shape is the original producer's.
type sale struct {
	RequestID        string  `json:"request_id"`
	EventType        string  `json:"event_type"`
	StoreID          int     `json:"store_id,omitempty"`
	CustID           int     `json:"cust_id"`
	Category         string  `json:"category"`
	SKU              int     `json:"sku"`
	Price            float64 `json:"price"`
	Qty              int     `json:"qty"`
	Discount         float64 `json:"discount"`
	GiftWrap         bool    `json:"gift_wrap"`
	Variant          string  `json:"variant"`
	PriorityShipping bool    `json:"priority_shipping"`
	TS               string  `json:"ts"`
	ContactMe        string  `json:"contact_me"`
	IsReturn         bool    `json:"is_return"`
	BadMsg           bool    `json:"bad_msg,omitempty"`
}

const (
	saleEvent      = "sale_event"
	inventoryEvent = "inventory_event"
)

// salesBegin is the time of every first event, so that a seed gives the same bytes on any day.
var salesBegin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// sales makes events from a seed number: the same seed, the same events.
type sales struct {
	seed    uint64
	badRate float64
	rng     *rand.Rand
	n       int
}

func newSales(seed uint64, badRate float64) *sales {
	return &sales{seed: seed, badRate: badRate, rng: rand.New(rand.NewPCG(seed, 0x7a11))}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func (s *sales) next() sale {
	r := s.rng
	e := sale{
		RequestID:        contract.KeyID("produce", fmt.Sprintf("%d/%d", s.seed, s.n)),
		EventType:        pick(r, saleEvent, saleEvent, saleEvent, inventoryEvent),
		StoreID:          1 + r.IntN(10),
		CustID:           100 + r.IntN(900),
		Category:         pick(r, "Books", "Games", "Garden", "Groceries", "Health", "Movies", "Music", "Shoes"),
		SKU:              18000 + r.IntN(2000),
		Price:            float64(100+r.IntN(9900)) / 100,
		Qty:              1 + r.IntN(20),
		Discount:         float64(r.IntN(40)) / 10,
		GiftWrap:         r.IntN(4) == 0,
		Variant:          pick(r, "red", "blue", "green"),
		PriorityShipping: r.IntN(3) == 0,
		TS:               salesBegin.Add(time.Duration(s.n) * 90 * time.Second).Format(time.RFC3339),
		ContactMe:        "github.com/example",
		IsReturn:         r.IntN(20) == 0,
	}
	if r.Float64() < s.badRate {
		e.StoreID, e.BadMsg = 0, true // what the original's bad messages look like
	}
	s.n++
	return e
}

var saleColumns = []string{
	"request_id", "event_type", "store_id", "cust_id", "category", "sku", "price", "qty", "discount", "gift_wrap",
	"variant", "priority_shipping", "ts", "is_return",
}

func (e *sale) row() []string {
	store := ""
	if e.StoreID != 0 {
		store = strconv.Itoa(e.StoreID)
	}
	return []string{
		e.RequestID, e.EventType, store, strconv.Itoa(e.CustID), e.Category, strconv.Itoa(e.SKU),
		strconv.FormatFloat(e.Price, 'f', 2, 64), strconv.Itoa(e.Qty), strconv.FormatFloat(e.Discount, 'f', 1, 64),
		strconv.FormatBool(e.GiftWrap), e.Variant, strconv.FormatBool(e.PriorityShipping), e.TS, strconv.FormatBool(e.IsReturn),
	}
}

// writeSales prints count events instead of posting them.
func writeSales(w io.Writer, s *sales, count int, format string) error {
	switch format {
	case "csv":
		cw := csv.NewWriter(w)
		if err := cw.Write(saleColumns); err != nil {
			return err
		}
		for range count {
			e := s.next()
			if err := cw.Write(e.row()); err != nil {
				return err
			}
		}
		cw.Flush()
		return cw.Error()
	case "ndjson":
		enc := json.NewEncoder(w)
		for range count {
			if err := enc.Encode(s.next()); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("--print %q is neither csv nor ndjson", format)
}
