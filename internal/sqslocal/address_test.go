package sqslocal

import "testing"

func TestNameOfURL(t *testing.T) {
	t.Parallel()
	a := address{"us-east-1", "000000000000"}
	for url, want := range map[string]string{
		"http://127.0.0.1:9324/000000000000/orders":               "orders",
		"https://sqs.us-east-1.amazonaws.com/000000000000/orders": "orders",
		"http://sqs:9324/000000000000/orders/":                    "orders",
		"orders":                                                  "orders",
		"http://127.0.0.1:9324/111111111111/orders":               "",
		"http://127.0.0.1:9324/queue/000000000000/orders":         "",
		"http://[::1/":                                            "",
		"":                                                        "",
	} {
		got, err := a.nameOfURL(url)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q names %q and error %v, want %q", url, got, err, want)
		}
	}
}
