package api

import (
	"embed"
	"fmt"
	"mime"
	"path"

	"github.com/gofiber/fiber/v2"
	"sigs.k8s.io/yaml"
)

// The description, written by hand before the code that answers to it.
//
//go:embed openapi.yaml
var openAPI []byte

// The page that shows it: no library, nothing from anywhere else.
//
//go:embed page
var pages embed.FS

// pagePolicy lets the page load what it is served with, and speak to this server.
const pagePolicy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// serveDocs serves the description, as written and as JSON for the page, and the page.
func (s *Server) serveDocs() {
	asJSON, err := yaml.YAMLToJSON(openAPI)
	if err != nil {
		panic(fmt.Errorf("openapi.yaml: %w", err)) // it is part of the program, and tested
	}
	s.app.Get("/openapi.yaml", static("application/yaml", openAPI))
	s.app.Get("/openapi.json", static(fiber.MIMEApplicationJSON, asJSON))
	for route, file := range map[string]string{
		"/docs": "index.html", "/docs/page.js": "page.js", "/docs/page.css": "page.css", "/docs/mark.svg": "mark.svg",
	} {
		b, err := pages.ReadFile("page/" + file)
		if err != nil {
			panic(err)
		}
		s.app.Get(route, static(mime.TypeByExtension(path.Ext(file)), b))
	}
	s.app.Get("/", func(c *fiber.Ctx) error { return c.Redirect("/docs", fiber.StatusFound) })
}

func static(kind string, b []byte) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, kind)
		c.Set(fiber.HeaderContentSecurityPolicy, pagePolicy)
		c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
		return c.Send(b)
	}
}
