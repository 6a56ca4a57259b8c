package chaos

import (
	"encoding/json"
	"net/http"
	"strconv"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leaseName is the Lease of the bridges.
const leaseName = "tallyman-bridge"

const leasePath = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

// serveLeases keeps Leases as an API server does: made once, and replaced only at the version that was read.
func (s *apiServer) serveLeases(mux *http.ServeMux) {
	mux.HandleFunc("GET "+leasePath+"/{name}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l := s.leases[r.PathValue("name")]; l != nil {
			reply(w, http.StatusOK, l)
			return
		}
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, r.PathValue("name"))
	})
	mux.HandleFunc("POST "+leasePath, func(w http.ResponseWriter, r *http.Request) { s.keep(w, r, "") })
	mux.HandleFunc("PUT "+leasePath+"/{name}", func(w http.ResponseWriter, r *http.Request) { s.keep(w, r, r.PathValue("name")) })
}

// keep makes a Lease, or with a name replaces it.
func (s *apiServer) keep(w http.ResponseWriter, r *http.Request, name string) {
	var l coordinationv1.Lease
	if err := json.NewDecoder(r.Body).Decode(&l); err != nil {
		refuse(w, http.StatusBadRequest, metav1.StatusReasonBadRequest, err.Error())
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	have := s.leases[l.Name]
	switch {
	case name == "" && have != nil:
		refuse(w, http.StatusConflict, metav1.StatusReasonAlreadyExists, l.Name)
		return
	case name != "" && (have == nil || l.Name != name):
		refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, name)
		return
	case name != "" && have.ResourceVersion != l.ResourceVersion:
		refuse(w, http.StatusConflict, metav1.StatusReasonConflict, name)
		return
	}
	s.version++
	l.TypeMeta = metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"}
	l.ResourceVersion = strconv.FormatInt(s.version, 10)
	s.leases[l.Name] = &l
	reply(w, http.StatusOK, &l)
}
