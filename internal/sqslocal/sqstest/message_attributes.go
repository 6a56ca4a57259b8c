package sqstest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

type values = map[string]types.MessageAttributeValue

// kenobi are attributes whose digest real AWS was recorded to compute.
var kenobi = values{"Help.Me": text("Me"), "Hello": text("There"), "General": text("Kenobi")}

const (
	kenobiDigest      = "4c360f3fdafd970e05fae2f149d997f5"
	helloDigest       = "a311262e065454b75da111d535b8dacd" // of Hello alone
	prefixDigest      = "83fee93c1bcd8b9a5a923ffacdc636c7" // of Hello and Help.Me
	traceparentDigest = "8cbe4db156db8a94db8b801b7addb984"
)

var messageAttributeChecks = []check{
	{"attributes have the digest that AWS computes", func(p *probe) {
		q := p.queue(nil)
		sent := p.send(q, "msg", withAttributes(kenobi))
		equal(p, "digest at send", aws.ToString(sent.MD5OfMessageAttributes), kenobiDigest)
		got := p.one(q, named("All"))
		equal(p, "digest at receive", aws.ToString(got.MD5OfMessageAttributes), kenobiDigest)
		p.wantNames(got, "General Hello Help.Me")
	}},
	{"binary attributes have the digest that AWS computes", func(p *probe) {
		q := p.queue(nil)
		value := []byte("traceparent\x1e00-774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01")
		p.send(q, "test", withAttributes(values{"attr1": {DataType: aws.String("Binary"), BinaryValue: value}}))
		got := p.one(q, named("All"))
		equal(p, "digest", aws.ToString(got.MD5OfMessageAttributes), traceparentDigest)
		if !bytes.Equal(got.MessageAttributes["attr1"].BinaryValue, value) {
			p.errorf("value is %q", got.MessageAttributes["attr1"].BinaryValue)
		}
	}},
	{"types and their labels come back", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "x", withAttributes(values{
			"n": {DataType: aws.String("Number.int"), StringValue: aws.String("42")},
			"s": {DataType: aws.String("String.uuid"), StringValue: aws.String("日本")},
			"b": {DataType: aws.String("Binary.gzip"), BinaryValue: []byte{0, 255}},
		}))
		got := p.one(q, named("All")).MessageAttributes
		equal(p, "n", aws.ToString(got["n"].DataType)+" "+aws.ToString(got["n"].StringValue), "Number.int 42")
		equal(p, "s", aws.ToString(got["s"].DataType)+" "+aws.ToString(got["s"].StringValue), "String.uuid 日本")
		equal(p, "b", fmt.Sprint(aws.ToString(got["b"].DataType), got["b"].BinaryValue), "Binary.gzip[0 255]")
	}},
	{"no message attribute asked for, none returned", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "msg", withAttributes(kenobi))
		got := p.one(q)
		p.wantNames(got, "")
		equal(p, "digest", aws.ToString(got.MD5OfMessageAttributes), "")
	}},
	{"attributes asked for by name, and the digest of those", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "msg", withAttributes(kenobi))
		got := p.one(q, named("Foo", "Hello"))
		p.wantNames(got, "Hello")
		equal(p, "digest", aws.ToString(got.MD5OfMessageAttributes), helloDigest)
	}},
	{"attributes asked for by prefix, and the digest of those", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "msg", withAttributes(kenobi))
		got := p.one(q, named("Hel.*"))
		p.wantNames(got, "Hello Help.Me")
		equal(p, "digest", aws.ToString(got.MD5OfMessageAttributes), prefixDigest)
	}},
	{"a period and a star ask for all attributes", func(p *probe) {
		q := p.queue(nil)
		p.send(q, "msg", withAttributes(kenobi))
		p.wantNames(p.one(q, named(".*")), "General Hello Help.Me")
	}},
	{"eleven attributes are refused", func(p *probe) {
		many := values{}
		for i := range 11 {
			many[fmt.Sprintf("a%d", i)] = text("x")
		}
		p.refuses("11 attributes", many)
	}},
	{"an empty attribute value is refused", func(p *probe) {
		p.refuses("empty value", values{"a": text("")})
	}},
	{"an unknown attribute type is refused", func(p *probe) {
		p.refuses("type Float", values{"a": {DataType: aws.String("Float"), StringValue: aws.String("1")}})
	}},
	{"a number that is none is refused", func(p *probe) {
		p.refuses("number", values{"a": {DataType: aws.String("Number"), StringValue: aws.String("many")}})
	}},
	{"AWS's own attribute names are refused", func(p *probe) {
		p.refuses("AWS.x", values{"AWS.x": text("1")})
	}},
	{"the trace header is carried, with AWS's digest", func(p *probe) {
		q := p.queue(nil)
		header := "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
		sent := p.send(q, "x", func(in *sqs.SendMessageInput) {
			in.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
				"AWSTraceHeader": {DataType: aws.String("String"), StringValue: &header}}
		})
		equal(p, "digest", aws.ToString(sent.MD5OfMessageSystemAttributes), "5ae4d5d7636402d80f4eb6d213245a88")
		equal(p, "header", p.one(q).Attributes["AWSTraceHeader"], header)
	}},
}

func (p *probe) wantNames(m types.Message, want string) {
	equal(p, "attribute names", strings.Join(slices.Sorted(maps.Keys(m.MessageAttributes)), " "), want)
}

func (p *probe) refuses(what string, attributes values) {
	_, err := p.client.SendMessage(p, &sqs.SendMessageInput{
		QueueUrl: p.queue(nil), MessageBody: aws.String("x"), MessageAttributes: attributes})
	p.wantCode(what, err, "InvalidParameterValue")
}
