// Package rights is the table of who may do what with Kubernetes in an install of the chart. It is one table for two
// proofs: test/chart judges the rendered Roles by it, and test/cluster/e2e asks a real API server.
//
// Nobody but the bridge and the people of the viewer Role may do anything.
package rights

// Where is a kind of namespace.
type Where string

const (
	Own     Where = "own"     // the release's
	Queue   Where = "queue"   // another one, in which a queue has its pods
	System  Where = "system"  // kube-system
	Foreign Where = "foreign" // one that the release has nothing to do with
	Cluster Where = "cluster" // none: what belongs to no namespace, or is asked of all
)

// Who asks.
const (
	Bridge = "bridge"
	Viewer = "viewer" // a subject that the values name under viewer.subjects
)

// Act is one thing that somebody might do, and who may; Name is empty where any object is meant.
type Act struct {
	Verb, Group, Resource, Subresource, Name string
	Where                                    Where
	Who                                      []string
}

var (
	bridge = []string{Bridge}
	viewer = []string{Viewer}
	both   = []string{Bridge, Viewer}
)

// Kubernetes is the table; lease is the name of the bridge's own Lease. Whoever an act does not name is refused.
func Kubernetes(lease string) []Act {
	return append(writes(lease), append(reads(), refused()...)...)
}

// reads are what an install may look at, namespace by namespace.
func reads() (acts []Act) {
	for _, where := range []Where{Own, Queue} {
		acts = append(acts,
			Act{Verb: "get", Group: "batch", Resource: "jobs", Where: where, Who: both},
			Act{Verb: "list", Group: "batch", Resource: "jobs", Where: where, Who: both},
			Act{Verb: "watch", Group: "batch", Resource: "jobs", Where: where, Who: both},
			Act{Verb: "list", Resource: "pods", Where: where, Who: both},
			Act{Verb: "watch", Resource: "pods", Where: where, Who: both},
			Act{Verb: "get", Resource: "pods", Where: where, Who: viewer},
			Act{Verb: "get", Resource: "pods", Subresource: "log", Where: where, Who: viewer},
			Act{Verb: "list", Resource: "events", Where: where, Who: both},
			Act{Verb: "watch", Resource: "events", Where: where, Who: both},
			Act{Verb: "list", Group: "keda.sh", Resource: "scaledjobs", Where: where, Who: both},
			Act{Verb: "watch", Group: "keda.sh", Resource: "scaledjobs", Where: where, Who: both},
			Act{Verb: "get", Group: "keda.sh", Resource: "scaledjobs", Where: where, Who: viewer},
			Act{Verb: "list", Group: "batch", Resource: "cronjobs", Where: where, Who: viewer},
		)
	}
	return acts
}

// writes are the bridge's Lease, and the one object beside it that it reads: the UID of kube-system tells one cluster
// from another.
func writes(lease string) []Act {
	const group = "coordination.k8s.io"
	return []Act{
		{Verb: "create", Group: group, Resource: "leases", Where: Own, Who: bridge},
		{Verb: "get", Group: group, Resource: "leases", Name: lease, Where: Own, Who: bridge},
		{Verb: "update", Group: group, Resource: "leases", Name: lease, Where: Own, Who: bridge},
		{Verb: "update", Group: group, Resource: "leases", Name: "another", Where: Own},
		{Verb: "delete", Group: group, Resource: "leases", Name: lease, Where: Own},
		{Verb: "list", Group: group, Resource: "leases", Where: Own},
		{Verb: "create", Group: group, Resource: "leases", Where: Queue},
		{Verb: "get", Resource: "namespaces", Name: "kube-system", Where: System, Who: bridge},
		{Verb: "get", Resource: "namespaces", Name: "default", Where: Cluster},
		{Verb: "list", Resource: "namespaces", Where: Cluster},
	}
}

// refused is what nobody may, each of which would be a way out: to run something, to read a secret, to become another.
func refused() (acts []Act) {
	for _, where := range []Where{Own, Queue, System, Foreign} {
		acts = append(acts,
			Act{Verb: "get", Resource: "secrets", Where: where},
			Act{Verb: "list", Resource: "secrets", Where: where},
			Act{Verb: "create", Resource: "pods", Where: where},
			Act{Verb: "create", Resource: "pods", Subresource: "exec", Where: where},
			Act{Verb: "create", Resource: "pods", Subresource: "eviction", Where: where},
			Act{Verb: "delete", Resource: "pods", Where: where},
			Act{Verb: "create", Group: "batch", Resource: "jobs", Where: where},
			Act{Verb: "patch", Group: "batch", Resource: "jobs", Where: where},
			Act{Verb: "delete", Group: "batch", Resource: "jobs", Where: where},
			Act{Verb: "update", Group: "batch", Resource: "jobs", Subresource: "status", Where: where},
			Act{Verb: "patch", Group: "keda.sh", Resource: "scaledjobs", Where: where},
			Act{Verb: "delete", Group: "keda.sh", Resource: "scaledjobs", Where: where},
			Act{Verb: "get", Group: "keda.sh", Resource: "triggerauthentications", Where: where},
			Act{Verb: "get", Resource: "configmaps", Where: where},
			Act{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Where: where},
			Act{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "rolebindings", Where: where},
			Act{Verb: "escalate", Group: "rbac.authorization.k8s.io", Resource: "roles", Where: where},
		)
	}
	for _, where := range []Where{System, Foreign, Cluster} {
		acts = append(acts,
			Act{Verb: "list", Group: "batch", Resource: "jobs", Where: where},
			Act{Verb: "list", Resource: "pods", Where: where},
			Act{Verb: "list", Resource: "events", Where: where},
			Act{Verb: "list", Group: "keda.sh", Resource: "scaledjobs", Where: where},
			Act{Verb: "get", Group: "batch", Resource: "jobs", Where: where},
			Act{Verb: "get", Group: "coordination.k8s.io", Resource: "leases", Where: where},
		)
	}
	return append(acts,
		Act{Verb: "list", Resource: "nodes", Where: Cluster},
		Act{Verb: "impersonate", Resource: "users", Where: Cluster},
		Act{Verb: "create", Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings", Where: Cluster},
		Act{Verb: "list", Resource: "secrets", Where: Cluster},
		Act{Verb: "*", Group: "*", Resource: "*", Where: Cluster},
	)
}
