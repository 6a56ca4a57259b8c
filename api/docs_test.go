package api

import (
	"fmt"
	"strings"
	"testing"

	"tallyman/contract"
)

func TestDocs(t *testing.T) {
	t.Parallel()
	w := alone(t)
	for path, kind := range map[string]string{
		"/docs": "text/html", "/docs/page.js": "text/javascript", "/docs/page.css": "text/css", "/docs/mark.svg": "image/svg+xml",
		"/openapi.json": "application/json", "/openapi.yaml": "application/yaml",
	} {
		a := w.get(path).want(200)
		if !strings.HasPrefix(a.header.Get("Content-Type"), kind) || !strings.HasPrefix(a.header.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: %v", path, a.header)
		}
		if strings.HasPrefix(path, "/docs") {
			body := strings.ReplaceAll(string(a.body), "http://www.w3.org/2000/svg", "")
			for _, bad := range []string{"http://", "https://", "//cdn", "innerHTML", "style=", "onclick=\""} {
				if strings.Contains(body, bad) {
					t.Errorf("%s has %q: the page must need nothing from elsewhere, and its policy forbids the rest", path, bad)
				}
			}
		}
	}
	if a := w.get("/").want(302); a.header.Get("Location") != "/docs" {
		t.Errorf("Location %s", a.header.Get("Location"))
	}
	for _, code := range []contract.Code{contract.CodeNotFound, contract.CodeInvalidPayload} {
		if !strings.Contains(string(openAPI), fmt.Sprintf("            %s: ", code)) {
			t.Errorf("%s has no row to lead to", code)
		}
	}
}
